"""Checks before the start whether the processes of a run can run its stages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from data_gen.errors import UserError
from reasoning_train.api.plan import Plan, StageNode
from reasoning_train.api.stage import STAGES
from reasoning_train.store.store import Store
from reasoning_train.trainers.checkpoints import checkpoints, world_of


def check_processes(plan: Plan, store: Store, nproc: int) -> None:
    """UserError with a line for every unfinished trainer that `nproc` processes on this machine cannot train."""
    found = []
    for name, node in plan.nodes.items():
        if STAGES.get(node.uses).distributed and store.state(node, plan) != "cached":
            found += [
                f"{node.origin}: {name}: {said}"
                for said in (*_alone(node, nproc), *placement_problems(node, nproc, store))
            ]
    if found:
        raise UserError("\n".join(found))


def _alone(node: StageNode, nproc: int) -> Iterator[str]:
    deepspeed = node.resources.get("deepspeed")
    if deepspeed and nproc == 1:
        yield (
            f"resources.deepspeed is {deepspeed!r}, which shares the work of several processes. Run with `--launcher "
            "torchrun --nproc 2` (one process for each GPU), or leave `deepspeed` out: `--set "
            "stages.NAME.resources.deepspeed=null`."
        )


def placement_problems(node: StageNode, world: int, store: Store) -> Iterator[str]:
    """Why a stage cannot run in `world` processes, including a checkpoint from a different number of processes."""
    stage = STAGES.get(node.uses)
    if not stage.distributed:
        return
    yield from stage.config.model_validate(node.config).placement_problems(world, node.resources.get("deepspeed"))
    written = _checkpoint_world(store.partial(node))
    if written not in (None, world):
        yield (
            f"its checkpoint was written by {written} process(es), but this run has {world}. Start it with {written} "
            f"again, or remove {store.partial(node)} to train from the start."
        )


def _checkpoint_world(partial: Path) -> int | None:
    written = map(world_of, checkpoints(partial / "work" / "trainer"))
    return next((world for world in written if world is not None), None)
