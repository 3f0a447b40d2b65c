"""The SLURM commands in use. Each returns plain values and reports failures in SLURM's own words."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_gen.errors import UserError

WAIT_S = 60
_OPTIONS = ("SBATCH_", "SLURM_", "SRUN_")
"""Beginnings of the variables from which SLURM's commands take options."""
_KEPT = frozenset(("SLURM_CONF", "SLURM_JWT"))
"""Where the controller is, and who asks."""
ACTIVE = frozenset(
    (
        "PENDING",
        "RUNNING",
        "COMPLETING",
        "CONFIGURING",
        "REQUEUED",
        "REQUEUE_HOLD",
        "SUSPENDED",
        "RESIZING",
        "SIGNALING",
        "STAGE_OUT",
    )
)
"""States of jobs that may still run."""


@dataclass(frozen=True, slots=True)
class JobState:
    """E.g. `JobState("1207_3", "RUNNING", "None", "12:03", "n1")`; the number of an array's task is `ARRAY_INDEX`."""

    job: str
    state: str
    reason: str = ""
    elapsed: str = ""
    nodes: str = ""

    @property
    def active(self) -> bool:
        """Whether the job may still run."""
        return self.state in ACTIVE


def require() -> None:
    """UserError if there is no SLURM."""
    if shutil.which("sbatch") is None:
        raise UserError(
            "`sbatch` is not on this machine. Run `submit` on the cluster's login node, or use `--dry-run` to see "
            "the jobs."
        )


def submit(script: Path, options: Sequence[str]) -> str:
    """Submit a script and return the job's number. UserError with sbatch's message.

    The job gets the environment without the options of the shell that submits (`clean`): a shell inside an allocation
    has the cores, the memory and the number of that allocation, and `srun` in the job would take them for its own.
    """
    return _run(["sbatch", "--parsable", *options, str(script)], clean(os.environ)).strip().partition(";")[0]


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that give SLURM no options.

    >>> clean({"PATH": "/bin", "SLURM_CONF": "/etc/slurm.conf", "SLURM_CPU_BIND": "quiet", "SBATCH_TIMELIMIT": "5"})
    {'PATH': '/bin', 'SLURM_CONF': '/etc/slurm.conf'}
    """
    return {name: value for name, value in environment.items() if name in _KEPT or not name.startswith(_OPTIONS)}


def unused_options(environment: Mapping[str, str]) -> list[str]:
    """Names of the variables with options for `sbatch`, which jobs do not get: a profile says all that they ask for."""
    return sorted(name for name in environment if name.startswith("SBATCH_"))


def max_array() -> int:
    """Maximum tasks of one array at this site: indices start at 0 and stay below MaxArraySize."""
    for line in _run(["scontrol", "show", "config"]).splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "MaxArraySize":
            return int(value) - 1
    return 1000  # SLURM's default


def cancel(jobs: Collection[str]) -> None:
    """Cancel jobs. Jobs that have already ended are not an error."""
    if jobs:
        subprocess.run(["scancel", *sorted(jobs)], check=False, capture_output=True, timeout=WAIT_S)


def active(jobs: Collection[str]) -> list[JobState]:
    """The user's waiting or running jobs among `jobs` (numbers without index). Array tasks are listed individually."""
    if not jobs:
        return []
    said = _run(
        ["squeue", "--noheader", "--array", "--user", getpass.getuser(), "--states=all", "--format=%i|%T|%r|%M|%N"]
    )
    found = (JobState(*line.split("|")) for line in said.splitlines() if line.count("|") == 4)
    return [one for one in found if one.job.partition("_")[0] in jobs and one.active]


def ended(jobs: Collection[str]) -> list[JobState]:
    """The accounting's states of jobs; empty if the site has no accounting."""
    if not jobs or shutil.which("sacct") is None:
        return []
    command = ["sacct", "--noheader", "--parsable2", "--allocations", "--array", "--jobs", ",".join(sorted(jobs))]
    done = subprocess.run(
        [*command, "--format=JobID,State,Reason,Elapsed,NodeList"],
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
    )
    lines = done.stdout.splitlines() if done.returncode == 0 else []
    return [JobState(job, state.partition(" ")[0], *rest) for job, state, *rest in (line.split("|") for line in lines)]


def _run(command: list[str], environment: Mapping[str, str] | None = None) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=WAIT_S, env=environment and dict(environment)
        )
    except FileNotFoundError:
        raise UserError(f"`{command[0]}` was not found; SLURM's commands must be on the PATH.") from None
    except subprocess.TimeoutExpired:
        raise UserError(
            f"`{command[0]}` did not answer within {WAIT_S} s; is the controller up? (`scontrol ping`)"
        ) from None
    if done.returncode != 0:
        raise UserError(f"`{' '.join(command)}` failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
