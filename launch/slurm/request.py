"""The resources that a stage's jobs request: from its `resources`, else by its kind and the size of its model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from launch.slurm.profile import Cluster
from reasoning_train.api.plan import Plan, StageNode
from reasoning_train.api.stage import STAGES, StageConfig
from reasoning_train.process.memory import GIB, device
from reasoning_train.trainers.deepspeed import zero_stage
from reasoning_train.worker.distributed import devices_of

Kind = Literal["train", "generate", "score", "light"]
SMALL = 100_000_000
"""Models of up to this many parameters are trained by one process, since more would mostly wait for each other."""
LIGHT_CPUS = 4
TRAIN_USE, GENERATE_USE = 0.35, 0.05
"""Assumed shares of a GPU's peak that training and generation reach. They are not measured, and only good enough to
tell an hour from a week."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """E.g. `JobRequest(kind="generate", shards=8, gpus=1, cpus=12, time_s=86400)`: eight tasks of one GPU each."""

    kind: Kind
    nodes: int = 1
    processes: int = 1
    """Processes per node."""
    gpus: int = 0
    """GPUs per node of a trainer, or per shard of a data stage."""
    cpus: int = 1
    memory: str | None = None
    time_s: int = 3600
    shards: int = 1

    @property
    def world(self) -> int:
        """Processes that train together."""
        return self.nodes * self.processes

    @property
    def clock(self) -> str:
        """The time limit in SLURM's format."""
        hours, rest = divmod(self.time_s, 3600)
        return f"{hours}:{rest // 60:02d}:{rest % 60:02d}"


def seconds(clock: str) -> int:
    """Seconds in `H:MM:SS` or `D-HH:MM:SS`."""
    days, _, rest = clock.rpartition("-")
    hours, minutes, secs = map(int, rest.split(":"))
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + secs


def make_requests(plan: Plan, cluster: Cluster, estimates: Mapping[str, dict[str, Any]]) -> dict[str, JobRequest]:
    """Node name -> what its jobs request."""
    return {name: _request(node, cluster, estimates) for name, node in plan.nodes.items()}


def parameters_of(node: StageNode, estimates: Mapping[str, dict[str, Any]]) -> int:
    """Parameters of the largest model that a stage loads or reads; 0 if unknown."""
    names = (node.name, *node.inputs)
    return max(int(estimates[name].get("parameters") or 0) for name in names)


def _request(node: StageNode, cluster: Cluster, estimates: Mapping[str, dict[str, Any]]) -> JobRequest:
    kind, wanted = _kind(node), node.resources
    size = parameters_of(node, estimates)
    gpus = int(wanted["gpus"]) if "gpus" in wanted else _gpus(kind, node, cluster, size)
    nodes = int(wanted.get("nodes") or (_nodes(node, cluster, gpus, size) if kind == "train" and gpus else 1))
    return JobRequest(
        kind=kind,
        nodes=nodes,
        processes=int(wanted.get("processes") or (max(1, gpus) if kind == "train" else 1)),
        gpus=gpus,
        cpus=int(wanted.get("cpus") or _cpus(kind, node, cluster, gpus)),
        memory=wanted.get("memory") or _memory(cluster, gpus, kind),
        time_s=seconds(wanted.get("time") or cluster.time),
        shards=_shards(node, kind, cluster, estimates[node.name].get("records")),
    )


def _kind(node: StageNode) -> Kind:
    stage = STAGES.get(node.uses)
    if stage.distributed:
        return "train"
    if "engine" in stage.config.model_fields:
        return "generate"
    return "score" if stage.scores else "light"


def _gpus(kind: Kind, node: StageNode, cluster: Cluster, size: int) -> int:
    if cluster.gpus_per_node == 0 or kind == "light":
        return 0
    if kind == "generate":
        return devices_of(node)
    return cluster.gpus_per_node if kind == "train" and size > SMALL else 1


def _nodes(node: StageNode, cluster: Cluster, gpus: int, size: int) -> int:
    """As many nodes as are needed for weights, gradients and optimizer states if ZeRO-3 shards all of them."""
    return max(1, math.ceil(held_bytes(node, size, world=1) / (gpus * max(GIB, usable_bytes(node, cluster)))))


def usable_bytes(node: StageNode, cluster: Cluster) -> float:
    """Bytes of each GPU that are available for weights and states."""
    return device.usable_bytes(cluster.gpu_memory_gib * GIB, reserved_share(node))


def reserved_share(node: StageNode) -> float:
    """Share of each GPU's memory that an engine beside the model reserves."""
    return _config(node).reserved_share


def _config(node: StageNode) -> StageConfig:
    return STAGES.get(node.uses).config.model_validate(node.config)


def held_bytes(node: StageNode, size: int, world: int) -> float:
    """Bytes of a model of `size` parameters in each of the `world` processes that train it, or in a shard that runs
    it."""
    deepspeed = node.resources.get("deepspeed")
    weight = _config(node).weight_bytes(deepspeed)
    return size * weight.each(zero_stage(deepspeed), world)


def _cpus(kind: Kind, node: StageNode, cluster: Cluster, gpus: int) -> int:
    if gpus and cluster.gpus_per_node:
        return max(1, cluster.cpus_per_node * gpus // cluster.gpus_per_node)
    threads = int(node.resources.get("threads") or 1)
    processes = int(node.resources.get("processes") or 1)
    return min(cluster.cpus_per_node, LIGHT_CPUS if kind == "light" and cluster.gpus_per_node else threads * processes)


def _memory(cluster: Cluster, gpus: int, kind: Kind) -> str | None:
    if cluster.memory_per_node_gib is None:
        return None
    if gpus and cluster.gpus_per_node:
        return f"{max(1, cluster.memory_per_node_gib * gpus // cluster.gpus_per_node)}G"
    share = cluster.cpus_per_node if kind != "light" else max(1, cluster.cpus_per_node // LIGHT_CPUS)
    return f"{max(1, cluster.memory_per_node_gib // share)}G"


def _shards(node: StageNode, kind: Kind, cluster: Cluster, records: int | None) -> int:
    """As in the recipe, else the profile's number for generating stages, but at most the number of problems."""
    if STAGES.get(node.uses).unit == "whole":
        return 1
    wanted = node.resources.get("shards")
    if wanted:
        return int(wanted)
    return 1 if kind != "generate" or not devices_of(node) else max(1, min(cluster.shards, records or cluster.shards))


def gpu_hours(request: JobRequest, cluster: Cluster, estimate: Mapping[str, Any], size: int) -> float | None:
    """Rough GPU-hours of a stage: its operations divided by the assumed speed of a GPU. None if its tokens or its model
    are unknown."""
    if not request.gpus:
        return 0.0
    generated, trained = (int(estimate.get(name) or 0) for name in ("tokens", "trained_tokens"))
    if not size or not (trained if request.kind == "train" else generated):
        return None
    operations = size * (6 * trained / TRAIN_USE + 2 * generated / GENERATE_USE)
    return float(operations / (cluster.gpu_tflops * 1e12) / 3600)
