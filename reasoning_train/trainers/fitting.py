"""Checks at recipe load time whether losses fit the rows and the head of a trainer."""

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
    """ValueError for an empty list, for a loss that reads something that is not in `offered` (what the rows of `who`
    hold), and for a loss that cannot train `head`."""
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
    """Whether the loss reads the scores of a value head."""
    return bool({"targets", "ranks"} & {*loss.reads})


def _names(offered: Collection[str]) -> str:
    fitting = [name for name in LOSSES.names() if {*LOSSES.get(name).reads} <= {*offered}]
    return ", ".join(fitting)
