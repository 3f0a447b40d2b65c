"""How far the jobs of a run are: the queue, the accounting, what jobs wrote of themselves, and the store, joined."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launch.slurm import scheduler
from launch.slurm.render import log_file
from launch.slurm.scheduler import JobState
from reasoning_train.recipe.log import read_logs
from reasoning_train.recipe.plan import Node, Plan
from reasoning_train.recipe.store import Store

TAIL_BYTES = 200_000
"""Of a log, in which the last error is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Of one node: `Progress(state="running", note="5 of 8 shards done, 2 running, 1 waits")`."""

    state: str
    note: str = ""


def look(run: Path, state: Mapping[str, Any], plan: Plan, store: Store) -> dict[str, Progress]:
    """Node -> how far it is; nodes that were finished before have none."""
    jobs: dict[str, dict[str, Any]] = state["jobs"]
    numbers = {job["job"] for job in jobs.values()} | {node["job"] for node in state["nodes"].values() if "job" in node}
    queue = {one.job: one for one in scheduler.active(numbers)}
    past = {one.job: one for one in scheduler.ended(numbers)}
    found: dict[str, Progress] = {}
    for name, entry in state["nodes"].items():
        node = plan.nodes[name]
        if entry["state"] == "cached":
            continue
        if store.state(node, plan) == "cached":
            found[name] = Progress(state="done", note=_requeues(run, name))
            continue
        mine = {job: one for job, one in jobs.items() if one["node"] == name}
        if not mine:
            found[name] = _elsewhere(entry["job"], queue)
        else:
            found[name] = _of_node(run, mine, node, store, queue, past, found)
    return found


def _elsewhere(job: str, queue: Mapping[str, JobState]) -> Progress:
    """A node that jobs of another submission make."""
    if job in queue:
        return Progress(state="waiting", note=f"job {job} of another submission makes it ({queue[job].state.lower()})")
    return Progress(state="failed", note=f"job {job} of another submission was to make it and is gone; submit again")


def _of_node(
    run: Path, jobs: Mapping[str, dict[str, Any]], node: Node, store: Store, queue: Mapping[str, JobState],
    past: Mapping[str, JobState], before: Mapping[str, Progress],
) -> Progress:  # fmt: skip
    parts = [_part(run, name, job, queue, past) for name, job in jobs.items()]
    tasks = [task for part in parts for task in part]
    states = Counter(state for state, _ in tasks)
    why = [note for state, note in tasks if state == "failed" and note]
    notes = [*why[:1]]
    if len(tasks) > 2:
        notes.append(", ".join(f"{count} {state}" for state, count in sorted(states.items())))
        notes += _stragglers(node, store, next(iter(jobs.values()))["shards"]) if states["running"] else []
    elif not why:
        notes += [note for _, note in tasks if note]
    broken = next((need for need in node.inputs if need in before and before[need].state in ("failed", "not run")), None)
    if states["failed"]:
        return Progress(state="failed", note="; ".join(notes))
    if broken and not states["running"]:
        return Progress(state="not run", note=f"cancelled: needs {broken}, which failed")
    state = next((s for s in ("running", "queued again", "waiting", "cancelled", "done") if states[s]), "unknown")
    return Progress(state=state, note="; ".join(notes))


def _part(
    run: Path, name: str, job: Mapping[str, Any], queue: Mapping[str, JobState], past: Mapping[str, JobState]
) -> list[tuple[str, str]]:  # fmt: skip
    """(state, note) of a job or of every task of its array."""
    if not job["tasks"]:
        return [_task(job["job"], run / "jobs" / name, log_file(run, name), queue, past)]
    return [
        _task(f"{job['job']}_{i}", run / "jobs" / f"{job['node']}.shard.{job['offset'] + i}", log_file(run, name, i), queue, past)
        for i in range(job["tasks"])
    ]


def _task(number: str, record: Path, log: Path, queue: Mapping[str, JobState], past: Mapping[str, JobState]) -> tuple[str, str]:
    told = _told(record)
    if number in queue:
        one = queue[number]
        if one.state == "PENDING":
            return ("queued again" if told else "waiting", f"job {number}: {one.reason}")
        return "running", f"job {number} on {one.nodes}, {one.elapsed}"
    if told and told[-1]["state"] == "ended":
        code = told[-1]["code"]
        return ("done", "") if code == 0 else ("failed", last_error(log) or f"job {number} ended with code {code}; log: {log}")
    if number in past and not past[number].active:
        state = past[number].state
        if state == "COMPLETED":
            return "done", ""
        if state == "CANCELLED":
            return "cancelled", f"job {number} was cancelled"
        return "failed", last_error(log) or f"job {number}: {state}; log: {log}"
    if told:
        return "failed", last_error(log) or f"job {number} ended without a word (killed, or out of time or memory); log: {log}"
    return "cancelled", f"job {number} was cancelled before it began"


def _told(record: Path) -> list[dict[str, Any]]:
    """The lines that a job wrote of itself."""
    try:
        text = Path(f"{record}.jsonl").read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


def _requeues(run: Path, node: str) -> str:
    told = (line for record in (run / "jobs").glob(f"{node}*.jsonl") for line in _told(record.with_suffix("")))
    again = sum(line["state"] == "started" and line["restarts"] > 0 for line in told)
    return f"queued again {again} times" if again else ""


def _stragglers(node: Node, store: Store, shards: int) -> Iterator[str]:
    """The shard that is furthest behind the middle one, where it is behind by half."""
    counts = dict.fromkeys(range(shards), 0)
    for path in store.partial(node).glob(f"log-*-of-{shards}.jsonl"):
        counts[int(path.stem.split("-")[1])] = path.read_bytes().count(b"\n")
    middle, (slowest, least) = sorted(counts.values())[shards // 2], min(counts.items(), key=lambda item: item[1])
    if least < middle / 2:
        yield f"shard {slowest} has {least} records, the middle one {middle}"


def records(node: Node, store: Store) -> int:
    """Finished problems of a stage that is not finished."""
    return len(read_logs(store.partial(node))) if store.partial(node).is_dir() else 0


def last_error(log: Path) -> str:
    """The message of the first failing process in the last attempt of a job; empty where none said anything."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - TAIL_BYTES))
            lines = stream.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    errors = [json.loads(line)["message"] for line in lines if line.startswith('{"event": "error"') and line.endswith("}")]
    plain = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return next(iter([*errors, *plain]), "")
