"""What a model says of training rows without being trained: packed in trees, so many tokens a pass, answers in
order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import torch

from reasoning_train.packing.batch import collate
from reasoning_train.packing.plan import micro_batches

if TYPE_CHECKING:
    from reasoning_train.packing.rows import Row
    from reasoning_train.packing.tree_attention import ForestAttention
    from reasoning_train.trainers.objective import Objective
    from reasoning_train.trainers.outputs import Outputs

T = TypeVar("T")
AT_ONCE = 1024
"""Rows whose answers are held at once."""


def read_rows(
    objective: Objective, rows: Sequence[Row], pad: int, tokens: int, read: Callable[[Outputs], Sequence[T]]
) -> Iterator[T]:
    """What `read` makes of each row, in their order; `read` gives one answer for each row of a pass, `tokens` a
    pass."""
    with objective.packed("tree") as attention:
        for at in range(0, len(rows), AT_ONCE):
            yield from _in_order(objective, rows[at : at + AT_ONCE], pad, tokens, read, attention)


def _in_order(
    objective: Objective,
    rows: Sequence[Row],
    pad: int,
    tokens: int,
    read: Callable[[Outputs], Sequence[T]],
    attention: ForestAttention | None,
) -> list[T]:
    found: dict[int, T] = {}
    for packs in micro_batches(rows, packing="tree", capacity=tokens, tokens=tokens):
        batch = {
            name: tensor.to(objective.model.device)
            for name, tensor in collate(packs, pad, share=True, attention=attention).items()
        }
        with torch.inference_mode():
            answers = read(objective.outputs(batch))
        for row, answer in zip((row for pack in packs for row in pack), answers, strict=True):
            found[id(row)] = answer
    return [found[id(row)] for row in rows]
