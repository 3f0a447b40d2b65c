"""Runs one stage in the several processes of a torchrun, `deepspeed` or `accelerate launch`. The stage does not depend
on the launcher.

The processes of a trainer train together. Those of a data stage are independent: rank r is shard r of W on its own
devices, and the first process merges. All other stages run in the first process alone.
"""

from __future__ import annotations

import os
import time
from typing import Literal

from reasoning_train.api.plan import Plan, StageNode
from reasoning_train.api.stage import STAGES, StageDef
from reasoning_train.process import ranks, stopping
from reasoning_train.store.ownership import followed
from reasoning_train.store.partial import Partial, open_partial
from reasoning_train.store.store import Store
from reasoning_train.worker.context import FollowerContext, Report
from reasoning_train.worker.run_node import Outcome, prepare_process, run_node

LOOK_S = 0.2
"""Seconds between checks whether the other shards are done."""


def run_distributed(
    plan: Plan, name: str, store: Store, *, report: Report, threads: int = 1
) -> Outcome | Literal["followed"]:
    """Run a node as one of WORLD_SIZE processes. The first process returns the outcome, the others `followed`. Raises
    the errors of `run_node`."""
    node = plan.nodes[name]
    stage: StageDef = STAGES.get(node.uses)
    if stage.distributed:
        return _train(plan, node, stage, store, report, threads)
    k, n, local = ranks.rank(), ranks.world_size(), int(os.environ.get("LOCAL_RANK", "0"))
    ranks.forget()
    if stage.unit == "whole":
        return "followed" if k else run_node(plan, name, store, report=report, threads=threads)
    ranks.own_devices(local, devices_of(node))

    def tell(event: dict[str, object]) -> None:
        report({**event, "rank": k})

    run_node(plan, name, store, report=tell, shard=(k, n), threads=threads)
    if k:
        return "followed"
    while not _all_recorded(plan, node, store):  # if a rank fails, torchrun ends all of them
        if stopping.asked():  # a stopped rank leaves its shard unfinished
            raise stopping.Stopped
        time.sleep(LOOK_S)
    return run_node(plan, name, store, report=report, threads=threads)


def devices_of(node: StageNode) -> int:
    """GPUs that one process of a data stage uses: its engine's tensor parallel size, or 0 if a running server does the
    work."""
    engine = node.config.get("engine") or {}
    return 0 if engine.get("base_url") else int(engine.get("tensor_parallel") or 1)


def _all_recorded(plan: Plan, node: StageNode, store: Store) -> bool:
    return store.state(node, plan) == "cached" or Partial(store.partial(node)).complete() is not None


def _train(
    plan: Plan, node: StageNode, stage: StageDef, store: Store, report: Report, threads: int
) -> Outcome | Literal["followed"]:
    """The first process claims, records and publishes; the others only take part in training."""
    ranks.join()
    if ranks.rank() == 0:
        try:
            return run_node(plan, node.name, store, report=report, threads=threads)
        finally:
            ranks.start_others(False)  # cached, passed, or failed before the work began
    if ranks.started():
        with followed(store, node):
            ctx = FollowerContext(plan, node, stage, store, open_partial(store, node, plan), threads)
            prepare_process(ctx.seed, threads, heavy=True)
            stage.run(stage.config.model_validate(node.config), ctx)
    return "followed"
