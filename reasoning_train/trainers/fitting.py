"""The losses that a recipe may name, and whether they fit the rows and the head that a trainer has, told when the
recipe loads."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from reasoning_train.trainers.losses.base import LOSSES, READINGS, Loss

if TYPE_CHECKING:
    from data_gen.verifiers.heads import HeadConfig

    AnyLoss = Loss
else:
    AnyLoss = LOSSES.union()


def check_losses(losses: Sequence[Loss], offered: Collection[str], who: str, *, head: HeadConfig | None = None) -> None:
    """ValueError for a list without a loss, for a loss that reads what the rows of `who` do not hold (`offered` is what
    they do), and for one that cannot train `head`."""
    if not losses:
        raise ValueError(f"losses: the list is empty; expected some of {_names(offered)}")
    for loss in losses:
        missing = [READINGS[reading] for reading in loss.reads if reading not in offered]
        if missing:
            raise ValueError(
                f"losses: {loss.uses!r} reads {' and '.join(missing)}, which {who} does not have; expected some of "
                f"{_names(offered)}"
            )
        if head and reads_head(loss) and (problem := loss.head_problem(head)):
            raise ValueError(f"losses: {loss.uses!r} {problem}")


def reads_head(loss: Loss) -> bool:
    """Whether it reads what a value head says."""
    return bool({"targets", "ranks"} & {*loss.reads})


def _names(offered: Collection[str]) -> str:
    fitting = [name for name in LOSSES.names() if {*LOSSES.get(name).reads} <= {*offered}]
    return ", ".join(fitting)
