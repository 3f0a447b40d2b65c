"""Submits a plan: missing stages become jobs, which wait for stages that other submissions work on."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_gen.errors import UserError
from launch.runs import RunFolder
from launch.slurm import scheduler
from launch.slurm.jobs import SlurmJob, make_jobs, waits_for
from launch.slurm.profile import Cluster
from launch.slurm.records import read_records
from launch.slurm.render import render
from launch.slurm.request import JobRequest
from launch.slurm.snapshot import write_snapshot
from reasoning_train.api.plan import Plan, StageNode
from reasoning_train.store.locks import guard
from reasoning_train.store.state_files import Shape, read_json, write_json
from reasoning_train.store.store import Store, artifact_name

REFUSED = "refused"
"""State of a run whose jobs sbatch refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """The result of a submission, or what it would be in a dry run."""

    folder: Path
    jobs: list[SlurmJob]
    numbers: dict[str, str] = field(default_factory=dict)
    """Job name -> number in the queue; empty in a dry run."""
    others: dict[str, str] = field(default_factory=dict)
    """Node -> number of a job of an earlier submission that will finish it."""
    queue_error: str = ""
    """In a dry run: why SLURM's queue could not be read. It then counts as empty."""


def submit(plan: Plan, store: Store, cluster: Cluster, requests: Mapping[str, JobRequest], profile: str) -> Submission:
    """Write the run's folder and submit its jobs: all of them or, if sbatch refuses one, none.

    Submissions to one store are serialised. Each sees the jobs of earlier ones and does not repeat their work.
    """
    scheduler.require()
    with guard(store.root / "cluster" / "submit"):
        cluster, others = _ask_slurm(plan, store, cluster)
        jobs = make_jobs(plan, store, cluster, requests, others)
        if not jobs:
            return Submission(folder=store.runs, jobs=[], others=others)
        run = RunFolder(store, plan, "submitted", cluster=profile, jobs={})
        for name, text in scripts(plan, store, cluster, jobs, run.path):
            (run.path / "jobs").mkdir(exist_ok=True)
            (run.path / "jobs" / f"{name}.sh").write_text(text, encoding="utf-8")
        write_snapshot(plan, run.path / "recipe.yaml")
        numbers = _submit_all(jobs, plan, others, run, store)
    return Submission(folder=run.path, jobs=jobs, numbers=numbers, others=others)


def dry_run(plan: Plan, store: Store, cluster: Cluster, requests: Mapping[str, JobRequest]) -> Submission:
    """What `submit` would do now or, if SLURM does not answer, with an empty queue. Nothing is written."""
    folder, others, queue_error = store.runs.absolute() / plan.name / "DRY-RUN", dict[str, str](), ""
    try:
        cluster, others = _ask_slurm(plan, store, cluster)
    except UserError as error:
        queue_error = str(error)
    return Submission(
        folder=folder, jobs=make_jobs(plan, store, cluster, requests, others), others=others, queue_error=queue_error
    )


def _ask_slurm(plan: Plan, store: Store, cluster: Cluster) -> tuple[Cluster, dict[str, str]]:
    """The profile with the site's own array limit applied, and the nodes that earlier submissions are making."""
    limit = min(cluster.max_array, scheduler.max_array())
    return cluster.model_copy(update={"max_array": limit}), _at_work(plan, store)


def scripts(
    plan: Plan, store: Store, cluster: Cluster, jobs: Sequence[SlurmJob], run: Path
) -> Iterator[tuple[str, str]]:
    """(job name, text of its script) of every job."""
    for job in jobs:
        yield job.name, render(job, plan, cluster, store.root.absolute(), run.absolute())


def submit_options(job: SlurmJob, numbers: Mapping[str, str], waiting: Sequence[str] = ()) -> list[str]:
    """Options of sbatch that name other jobs, so they cannot be in the script."""
    how = "afterany" if job.part == "report" else "afterok"
    after = [*(numbers[need] for need in job.needs), *waiting]
    if not after:
        return []
    return [f"--dependency={how}:{':'.join(after)}", *(["--kill-on-invalid-dep=yes"] if how == "afterok" else [])]


def submit_line(job: SlurmJob, run: Path, waiting: Sequence[str] = ()) -> str:
    """The sbatch line of a dry run. Shell variables replace numbers that do not exist yet. `waiting`: numbers of
    existing jobs."""
    options = submit_options(job, {need: f"${variable(need)}" for need in job.needs}, waiting)
    script = shlex.quote(str(run / "jobs" / f"{job.name}.sh"))
    return f"{variable(job.name)}=$(sbatch --parsable {' '.join([*options, script])})"


def variable(name: str) -> str:
    """A unique shell variable for a job's name.

    >>> variable("sample.merge"), variable("a-b"), variable("a_b")
    ('job_sample_2e_merge', 'job_a_2d_b', 'job_a__b')
    """
    return "job_" + "".join(
        letter if letter.isalnum() else "__" if letter == "_" else f"_{ord(letter):02x}_" for letter in name
    )


def _submit_all(
    jobs: Sequence[SlurmJob], plan: Plan, others: Mapping[str, str], run: RunFolder, store: Store
) -> dict[str, str]:
    """Job name -> number. Each number is recorded at once, so that no job is lost if the process dies half-way."""
    numbers: dict[str, str] = {}
    _note_nodes(run, jobs, others)
    try:
        for job in jobs:
            options = submit_options(job, numbers, waits_for(job, plan, others))
            numbers[job.name] = scheduler.submit(run.path.absolute() / "jobs" / f"{job.name}.sh", options)
            _remember(run, store, plan, job, numbers[job.name])
    except BaseException as error:
        scheduler.cancel(numbers.values())
        run.close(REFUSED, 0.0)
        if isinstance(error, UserError):
            told = f"{len(numbers)} jobs submitted before it were cancelled; the scripts are in {run.path}."
            raise UserError(f"{error}\n{told}") from error
        raise
    return numbers


def _at_work(plan: Plan, store: Store) -> dict[str, str]:
    """Node -> number of the active job of an earlier submission that will finish its artifact."""
    known = {name: note for name, node in plan.nodes.items() if (note := _read_note(store, node)) is not None}
    active = scheduler.active({job for note in known.values() for job in note["jobs"]})
    alive = {one.job.partition("_")[0] for one in active if one.reason != "DependencyNeverSatisfied"}
    return {
        name: note["jobs"][-1]
        for name, note in known.items()
        if note["jobs"][-1] in alive and not _failed(Path(note["run"]), name)
    }


def _failed(run: Path, node: str) -> bool:
    """Whether a part of a node has already failed, so that jobs waiting for it will not finish."""
    last = (
        lines[-1] for path in (run / "jobs").glob(f"{node}.*jsonl") if (lines := read_records(path.with_suffix("")))
    )
    return any(line["state"] == "ended" and line["code"] != 0 for line in last)


class _Note(Shape):
    jobs: list[str]
    run: str


def _note_path(store: Store, node: StageNode) -> Path:
    """File that lists the jobs that make a node's artifact. The last of them finishes it."""
    return store.root / "cluster" / f"{artifact_name(node.uses, node.key)}.json"


def _read_note(store: Store, node: StageNode) -> dict[str, Any] | None:
    note: dict[str, Any] | None = read_json(_note_path(store, node), _Note)
    return note


def _note_nodes(run: RunFolder, jobs: Sequence[SlurmJob], others: Mapping[str, str]) -> None:
    made = {job.node for job in jobs}
    for name in run.state["nodes"]:
        state = "submitted" if name in made or name in others else "cached"
        run.node(name, state=state, **({"job": others[name]} if name in others else {}))
    run.save()


def _remember(run: RunFolder, store: Store, plan: Plan, job: SlurmJob, number: str) -> None:
    """Record the job in the run's folder for `status`, `logs` and `cancel`, and by artifact for later submissions."""
    run.state["jobs"][job.name] = {
        "job": number,
        "node": job.node,
        "part": job.part,
        "tasks": job.tasks,
        "offset": job.offset,
        "shards": job.request.shards,
    }
    run.changed()
    if job.node:
        mine = [one["job"] for one in run.state["jobs"].values() if one["node"] == job.node]
        write_json(_note_path(store, plan.nodes[job.node]), {"jobs": mine, "run": str(run.path.absolute())})
