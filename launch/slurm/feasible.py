"""Checks before submission for what cannot work on a cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from data_gen.errors import UserError
from launch.placement import placement_problems
from launch.slurm.profile import Cluster
from launch.slurm.request import JobRequest, held_bytes, parameters_of, reserved_share, seconds, usable_bytes
from reasoning_train.api.plan import Plan, StageNode
from reasoning_train.api.stage import STAGES
from reasoning_train.process.memory import GIB
from reasoning_train.store.store import Store
from reasoning_train.worker.distributed import devices_of


def check(
    plan: Plan,
    store: Store,
    cluster: Cluster,
    requests: Mapping[str, JobRequest],
    estimates: Mapping[str, dict[str, Any]],
) -> None:
    """UserError with a line for everything that cannot work on the cluster. Finished stages are skipped."""
    found = []
    for name, node in plan.nodes.items():
        if store.state(node, plan) != "cached":
            request, size = requests[name], parameters_of(node, estimates)
            found += [
                f"{node.origin}: {name}: {said}"
                for said in (*_asks(node, request, cluster), *_fits(node, request, cluster, size))
            ]
            found += [f"{node.origin}: {name}: {said}" for said in placement_problems(node, request.world, store)]
    if found:
        raise UserError("\n".join(found))


def _asks(node: StageNode, request: JobRequest, cluster: Cluster) -> Iterator[str]:
    stage = STAGES.get(node.uses)
    instead = "use `shards`" if stage.unit == "problem" else "remove it"
    for name in ("nodes", "processes", "deepspeed"):
        if name in node.resources and not stage.distributed:
            yield f"resources.{name}: stage type {node.uses!r} does not train; {instead}."
    if request.gpus > cluster.gpus_per_node:
        yield f"resources.gpus: {request.gpus} GPUs per node, but the cluster's nodes have {cluster.gpus_per_node}."
    if stage.distributed and request.gpus and request.processes > request.gpus:
        yield (
            f"resources.processes: {request.processes} processes per node, but only {request.gpus} GPUs; every "
            "process needs a GPU of its own."
        )
    if request.kind == "generate" and request.gpus not in (0, devices_of(node)):
        yield (
            f"resources.gpus: {request.gpus} GPUs per shard, but its engine uses {devices_of(node)} "
            "(`tensor_parallel`)."
        )
    if request.cpus > cluster.cpus_per_node:
        yield f"resources.cpus: {request.cpus} cores per node, but the cluster's nodes have {cluster.cpus_per_node}."
    if cluster.max_nodes and request.nodes > cluster.max_nodes:
        yield f"resources.nodes: {request.nodes} nodes, but a job on the cluster may have at most {cluster.max_nodes}."
    if cluster.max_time and request.time_s > seconds(cluster.max_time):
        yield f"resources.time: {request.clock}, but the cluster's limit is {cluster.max_time}."
    if request.memory and cluster.memory_per_node_gib and _gib(request.memory) > cluster.memory_per_node_gib:
        yield f"resources.memory: {request.memory}, but the cluster's nodes have {cluster.memory_per_node_gib}G."
    if request.time_s <= cluster.stop_before_s:
        yield (
            f"resources.time: {request.clock} is too short: the signal to stop comes {cluster.stop_before_s} s before "
            "the end (stop_before_s)."
        )


def _fits(node: StageNode, request: JobRequest, cluster: Cluster, size: int) -> Iterator[str]:
    """Check that the weights, and for a trainer gradients and optimizer states, fit in GPU memory."""
    if not (request.gpus and size):
        return
    free = usable_bytes(node, cluster)
    need = held_bytes(node, size, request.world) / (request.gpus if request.kind == "generate" else 1)
    if need > free:
        advice = {
            "train": "Set `resources: {deepspeed: zero3}`, ask for more GPUs, or train adapters (`lora: {}`)",
            "generate": "Set `tensor_parallel` in its engine",
        }.get(request.kind, "The stage keeps its whole model on one GPU; use a smaller model")
        if share := reserved_share(node):
            advice += f", or give vLLM less than {share:.0%} of each (`vllm.memory`)"
        yield (
            f"{size / 1e9:.1f}B parameters need {need / GIB:.0f} GiB on each GPU, but only {free / GIB:.0f} GiB are "
            f"available. {advice}."
        )


def _gib(memory: str) -> float:
    number, unit = re.fullmatch(r"([0-9]+)([MGT])", memory).groups()  # type: ignore[union-attr]  # the schema saw to it
    return int(number) * {"M": 1 / 1024, "G": 1, "T": 1024}[unit]
