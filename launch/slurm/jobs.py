"""The jobs of a plan: one a stage, arrays for shards with a job that merges them, and the report at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from launch.slurm.profile import Cluster
from launch.slurm.request import Request
from reasoning_train.recipe.partial import Partial
from reasoning_train.recipe.plan import Node, Plan
from reasoning_train.recipe.store import Store, dependencies

REPORT = "run.report"
"""Name of the last job, which no stage can have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One `sbatch`, e.g. `Job(name="sample.shards", node="sample", part="shards", request=..., needs=("base",), tasks=8)`."""

    name: str
    """Also of its files: `jobs/NAME.sh`."""
    node: str
    """"" for the report."""
    part: Literal["whole", "shards", "merge", "report"]
    request: Request
    needs: tuple[str, ...] = ()
    """Names of jobs that must have ended well; for the report, just ended."""
    tasks: int = 0
    """Of an array."""
    offset: int = 0
    """The shard of the array's first task."""


def make_jobs(plan: Plan, store: Store, cluster: Cluster, requests: Mapping[str, Request], others: Mapping[str, str]) -> list[Job]:
    """In the order of submission. Finished stages have none, nor those that jobs of `others` (node -> job number) work on already."""
    jobs: list[Job] = []
    last: dict[str, tuple[str, ...]] = {}
    """Node -> names of the jobs after which it is finished."""
    for name, node in plan.nodes.items():
        if store.state(node, plan) == "cached" or name in others:
            continue
        needs = tuple(dict.fromkeys(job for need in dependencies(node) for job in last.get(need, ())))
        made = list(_jobs_of(node, requests[name], cluster, needs, recorded=Partial(store.partial(node)).complete() is not None))
        jobs += made
        last[name] = (made[-1].name,)
    if jobs:
        jobs.append(Job(name=REPORT, node="", part="report", request=Request(kind="light"), needs=tuple(job.name for job in jobs)))
    return jobs


def waits_for(job: Job, plan: Plan, others: Mapping[str, str]) -> list[str]:
    """Numbers of jobs of other submissions that must have ended well before this one."""
    if not job.node or job.part == "merge":
        return []
    return list(dict.fromkeys(others[need] for need in dependencies(plan.nodes[job.node]) if need in others))


def _jobs_of(node: Node, request: Request, cluster: Cluster, needs: tuple[str, ...], *, recorded: bool) -> Iterator[Job]:
    if request.shards == 1 or recorded:
        yield Job(name=node.name, node=node.name, part="whole", request=request, needs=needs)
        return
    arrays = []
    for offset in range(0, request.shards, cluster.max_array):
        arrays.append(f"{node.name}.shards" + (f"+{offset}" if request.shards > cluster.max_array else ""))
        tasks = min(cluster.max_array, request.shards - offset)
        yield Job(name=arrays[-1], node=node.name, part="shards", request=request, needs=needs, tasks=tasks, offset=offset)
    merging = Request(kind="light", cpus=request.cpus, memory=request.memory, time_s=request.time_s)
    yield Job(name=f"{node.name}.merge", node=node.name, part="merge", request=merging, needs=tuple(arrays))
