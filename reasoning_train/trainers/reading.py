"""Runs a model over training rows without training it. Rows are packed as trees; results come in row order."""

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
"""Rows whose results are held at once."""


def read_rows(
    objective: Objective, rows: Sequence[Row], pad: int, tokens: int, read: Callable[[Outputs], Sequence[T]]
) -> Iterator[T]:
    """The result of `read` for each row, in row order. `read` returns one result per row of a forward pass; a pass
    holds at most `tokens` tokens."""
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
