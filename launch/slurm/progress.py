"""Progress of a run's jobs, from the queue, the accounting, the jobs' own records and the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from launch.slurm import scheduler
from launch.slurm.records import last_error, read_records, requeues
from launch.slurm.render import log_file
from reasoning_train.api.plan import Plan, StageNode
from reasoning_train.store.append_log import log_name
from reasoning_train.store.store import Store, dependencies

CANCELLED = "cancelled"
"""State of a run that its user cancelled."""
BEHIND = 0.5
"""A shard with less than this share of the median shard's records is reported."""
Task = tuple[str, str]
"""(state, note) of a job, or of one task of an array."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobProgress:
    """Progress of one node: `JobProgress(state="running", note="5 done, 2 running, 1 waiting")`."""

    state: str
    note: str = ""
    requeues: int = 0
    """How often its jobs were requeued."""


def look(run: Path, state: Mapping[str, Any], plan: Plan, store: Store) -> dict[str, JobProgress]:
    """Node -> its progress. `state`: the content of `run.json`. Nodes that were finished before the submission are
    absent."""
    return _Look(run, state, plan, store).nodes()


class _Look:
    """One query of a run's progress."""

    def __init__(self, run: Path, state: Mapping[str, Any], plan: Plan, store: Store) -> None:
        self.run, self.state, self.plan, self.store = run, state, plan, store
        self.jobs: dict[str, dict[str, Any]] = state["jobs"]
        numbers = {job["job"] for job in self.jobs.values()} | {
            node["job"] for node in state["nodes"].values() if "job" in node
        }
        self.queue = {one.job: one for one in scheduler.active(numbers)}
        self.past = {one.job: one for one in scheduler.ended(numbers)}
        self.found: dict[str, JobProgress] = {}

    def nodes(self) -> dict[str, JobProgress]:
        """The progress of all nodes, in the order of the plan, so that a node's inputs come first."""
        for name, entry in self.state["nodes"].items():
            if entry["state"] != "cached":
                self.found[name] = self._node(self.plan.nodes[name], entry)
        return self.found

    def _node(self, node: StageNode, entry: Mapping[str, Any]) -> JobProgress:
        mine = {job: one for job, one in self.jobs.items() if one["node"] == node.name}
        if self.store.state(node, self.plan) == "cached":
            return JobProgress(state="done", requeues=requeues(self._records(mine)))
        if not mine:
            return self._elsewhere(entry["job"]) if "job" in entry else JobProgress(state="not run")
        tasks = [task for name, job in mine.items() for task in self._tasks(name, job)]
        found = self._joined(node, tasks, next(iter(mine.values()))["shards"])
        return replace(found, requeues=requeues(self._records(mine)))

    def _elsewhere(self, job: str) -> JobProgress:
        """The progress of a node that another submission's job makes."""
        if job in self.queue:
            return JobProgress(
                state="waiting", note=f"job {job} of another submission is making it ({self.queue[job].state.lower()})"
            )
        return JobProgress(
            state="failed", note=f"job {job} of another submission should have made it but is gone; submit again"
        )

    def _joined(self, node: StageNode, tasks: list[Task], shards: int) -> JobProgress:
        states = Counter(state for state, _ in tasks)
        broken = next(
            (
                need
                for need in dependencies(node)
                if need in self.found and self.found[need].state in ("failed", "not run")
            ),
            None,
        )
        if broken and not states["running"] and not states["failed"]:
            return JobProgress(state="not run", note=f"cancelled: needs {broken}, which failed")
        state = next(
            (s for s in ("failed", "running", "queued again", "waiting", CANCELLED, "done") if states[s]), "unknown"
        )
        notes = [note for one, note in tasks if note and one == state][:1]
        if len(tasks) > 1:
            notes.append(", ".join(f"{count} {one}" for one, count in sorted(states.items())))
            notes += self._stragglers(node, shards) if states["running"] else []
        return JobProgress(state=state, note="; ".join(notes))

    def _tasks(self, name: str, job: Mapping[str, Any]) -> Iterator[Task]:
        """The task of a job, or every task of its array."""
        if not job["tasks"]:
            yield self._task(job["job"], self.run / "jobs" / name, log_file(self.run, name))
        for i, record in zip(job["tasks"], self._records({name: job}), strict=False):
            yield self._task(f"{job['job']}_{i}", record, log_file(self.run, name, i))

    def _records(self, jobs: Mapping[str, Mapping[str, Any]]) -> Iterator[Path]:
        for name, job in jobs.items():
            if job["tasks"]:
                yield from (self.run / "jobs" / f"{job['node']}.shard.{job['offset'] + i}" for i in job["tasks"])
            else:
                yield self.run / "jobs" / name

    def _task(self, number: str, record: Path, log: Path) -> Task:
        lines = read_records(record)
        if number in self.queue:
            one = self.queue[number]
            waits = "queued again" if lines else "waiting"
            if one.state == "PENDING":
                return waits, f"job {number}: {one.reason}"
            return "running", f"job {number} on {one.nodes}, {one.elapsed}"
        if lines and lines[-1]["state"] == "ended":
            code = lines[-1]["code"]
            if code != 0 and self.state["state"] == CANCELLED:
                return CANCELLED, f"job {number} was cancelled"
            return (
                ("done", "")
                if code == 0
                else ("failed", last_error(log) or f"job {number} ended with code {code}; log: {log}")
            )
        past = self.past[number].state if number in self.past else ""
        if past == "COMPLETED":
            return "done", ""
        if self.state["state"] == CANCELLED or past == "CANCELLED" or not (lines or past):
            return CANCELLED, f"job {number} was cancelled"
        return "failed", last_error(
            log
        ) or f"job {number} {past or 'ended without a message (killed, or out of time or memory)'}; log: {log}"

    def _stragglers(self, node: StageNode, shards: int) -> Iterator[str]:
        """A note about the slowest shard, if it is far behind."""
        logs = {shard: self.store.partial(node) / log_name((shard, shards)) for shard in range(shards)}
        counts = {shard: log.read_bytes().count(b"\n") if log.is_file() else 0 for shard, log in logs.items()}
        middle, (slowest, least) = sorted(counts.values())[shards // 2], min(counts.items(), key=lambda item: item[1])
        if least < middle * BEHIND:
            yield f"shard {slowest} has {least} records, the median shard {middle}"
