"""What SLURM's commands get of the shell that runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from launch.slurm.scheduler import submit, unused_options

SHELL = {
    "SLURM_JOB_ID": "77",
    "SLURM_CPU_BIND": "quiet,mask_cpu:0x1",
    "SLURM_MEM_PER_CPU": "2048",
    "SLURM_CPUS_PER_TASK": "2",
    "SRUN_CPUS_PER_TASK": "2",
    "SBATCH_TIMELIMIT": "5",
}
"""A shell inside an allocation, in which the user also set an option."""


def test_a_job_gets_no_options_of_the_shell_that_submits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in the place of `sbatch` writes down what it was given; where the controller is stays."""
    program = tmp_path / "sbatch"
    program.write_text(f"#!/bin/sh\nenv > {tmp_path}/given\necho '12;cluster'\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for name, value in {**SHELL, "SLURM_CONF": "/etc/here.conf", "MY_SLURM_NOTE": "kept"}.items():
        monkeypatch.setenv(name, value)
    assert submit(tmp_path / "job.sh", ["--hold"]) == "12"
    given = dict(line.partition("=")[::2] for line in (tmp_path / "given").read_text(encoding="utf-8").splitlines())
    assert not SHELL.keys() & given.keys()
    assert (given["SLURM_CONF"], given["MY_SLURM_NOTE"]) == ("/etc/here.conf", "kept")
    assert unused_options(SHELL) == ["SBATCH_TIMELIMIT"]
