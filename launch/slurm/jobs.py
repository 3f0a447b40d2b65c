"""The jobs of a plan: one per stage, arrays for shards with a job that merges them, and a report job at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from launch.slurm.profile import Cluster
from launch.slurm.request import JobRequest, seconds
from reasoning_train.api.plan import Plan, StageNode
from reasoning_train.store.partial import Partial
from reasoning_train.store.store import Store, dependencies

REPORT = "run.report"
"""Name of the last job. No stage can have this name."""
REPORT_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmJob:
    """One `sbatch`, e.g. `SlurmJob(name="sample.shards", node="sample", part="shards", request=..., needs=("base",),
    tasks=(0, 1, 2))`."""

    name: str
    """Also the name of its files: `jobs/NAME.sh`."""
    node: str
    """"" for the report."""
    part: Literal["whole", "shards", "merge", "report"]
    request: JobRequest
    needs: tuple[str, ...] = ()
    """Names of jobs that must have succeeded; for the report, they must only have ended."""
    tasks: tuple[int, ...] = ()
    """Indices of an array's tasks."""
    offset: int = 0
    """Added to an index to get the shard, since indices must stay below the site's limit."""


def make_jobs(
    plan: Plan, store: Store, cluster: Cluster, requests: Mapping[str, JobRequest], others: Mapping[str, str]
) -> list[SlurmJob]:
    """The jobs in the order of submission. Finished stages have none, nor have stages that jobs of `others` (node ->
    job number) already make."""
    jobs: list[SlurmJob] = []
    last: dict[str, tuple[str, ...]] = {}
    """Node -> names of the jobs that finish it."""
    for name, node in plan.nodes.items():
        if store.state(node, plan) == "cached" or name in others:
            continue
        needs = tuple(dict.fromkeys(job for need in dependencies(node) for job in last.get(need, ())))
        # If an input is made again, the progress is discarded, so it does not count here.
        fresh = all(store.state(plan.nodes[need], plan) == "cached" for need in dependencies(node))
        made = list(_jobs_of(node, requests[name], cluster, needs, Partial(store.partial(node)) if fresh else None))
        jobs += made
        last[name] = (made[-1].name,)
    if jobs:
        asked = JobRequest(kind="light", time_s=min(REPORT_S, seconds(cluster.max_time or cluster.time)))
        jobs.append(SlurmJob(name=REPORT, node="", part="report", request=asked, needs=tuple(job.name for job in jobs)))
    return jobs


def waits_for(job: SlurmJob, plan: Plan, others: Mapping[str, str]) -> list[str]:
    """Numbers of jobs of other submissions that must have succeeded before this one."""
    if job.part == "report":
        return list(dict.fromkeys(others.values()))
    if job.part == "merge":
        return []
    return list(dict.fromkeys(others[need] for need in dependencies(plan.nodes[job.node]) if need in others))


def _jobs_of(
    node: StageNode, request: JobRequest, cluster: Cluster, needs: tuple[str, ...], partial: Partial | None
) -> Iterator[SlurmJob]:
    open_shards = _open_shards(partial, request.shards)
    if request.shards == 1 or not open_shards:
        yield SlurmJob(name=node.name, node=node.name, part="whole", request=request, needs=needs)
        return
    arrays = []
    for offset, tasks in _arrays(open_shards, cluster.max_array):
        arrays.append(f"{node.name}.shards" + (f"+{offset}" if request.shards > cluster.max_array else ""))
        yield SlurmJob(
            name=arrays[-1], node=node.name, part="shards", request=request, needs=needs, tasks=tasks, offset=offset
        )
    merging = JobRequest(kind="light", cpus=request.cpus, memory=request.memory, time_s=request.time_s)
    yield SlurmJob(name=f"{node.name}.merge", node=node.name, part="merge", request=merging, needs=tuple(arrays))


def _open_shards(partial: Partial | None, count: int) -> list[int]:
    """The unfinished shards of `count`; none if a complete set of any count is finished."""
    if partial is None:
        return list(range(count))
    if partial.complete() is not None:
        return []
    states = partial.shards()
    return [k for k in range(count) if not ((k, count) in states and states[k, count].done)]


def _arrays(shards: list[int], limit: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    """(offset, indices) of arrays whose indices stay below the limit."""
    for offset in range(0, max(shards) + 1, limit):
        indices = tuple(k - offset for k in shards if offset <= k < offset + limit)
        if indices:
            yield offset, indices


def ranges(numbers: tuple[int, ...]) -> str:
    """`0-2,5` for (0, 1, 2, 5), as sbatch writes arrays."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)
