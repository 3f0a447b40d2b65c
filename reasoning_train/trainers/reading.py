"""Runs a model over training rows without training it. Rows are packed as trees where the model's family allows it;
results come in row order."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import torch

from reasoning_train.packing.batch import collate
from reasoning_train.packing.plan import micro_batches
from reasoning_train.trainers.self_check import best_packing

if TYPE_CHECKING:
    from reasoning_train.api.stage import Context
    from reasoning_train.packing.batch import Batch
    from reasoning_train.packing.rows import Row
    from reasoning_train.trainers.objective import Objective
    from reasoning_train.trainers.outputs import Outputs


class OfProblem(Protocol):
    """A record that belongs to a problem."""

    @property
    def problem_id(self) -> str:
        """The problem's id."""


T = TypeVar("T")
R = TypeVar("R", bound=OfProblem)
AT_ONCE = 1024
"""Rows whose results are held at once."""


def read_rows(
    objective: Objective, rows: Sequence[Row], pad: int, tokens: int, read: Callable[[Outputs], Sequence[T]]
) -> Iterator[T]:
    """The result of `read` for each row, in row order. `read` returns one result per row of a forward pass; a pass
    holds at most `tokens` tokens."""
    packing = best_packing(objective.model)
    with objective.packed(packing) as attention:
        collated = partial(collate, pad_id=pad, share=packing == "tree", attention=attention)
        for at in range(0, len(rows), AT_ONCE):
            some = rows[at : at + AT_ONCE]
            passes = micro_batches(some, packing=packing, capacity=tokens, tokens=tokens)
            yield from _in_order(objective, some, passes, collated, read)


def _in_order(
    objective: Objective,
    rows: Sequence[Row],
    passes: Sequence[Sequence[Sequence[Row]]],
    collated: Callable[[Sequence[Sequence[Row]]], Batch],
    read: Callable[[Outputs], Sequence[T]],
) -> list[T]:
    found: dict[int, T] = {}
    for packs in passes:
        batch = {name: tensor.to(objective.model.device) for name, tensor in collated(packs).items()}
        with torch.inference_mode():
            answers = read(objective.outputs(batch))
        for row, answer in zip((row for pack in packs for row in pack), answers, strict=True):
            found[id(row)] = answer
    return [found[id(row)] for row in rows]


@dataclass(frozen=True, slots=True)
class Pending(Generic[R]):
    """The records of a problem that no attempt has recorded yet. `order` and `problem` are for `ctx.record`."""

    order: int
    problem: str
    first: int
    """Number of the first record among all records."""
    records: list[R]


def pending_problems(
    ctx: Context, records: Iterable[R], size: Callable[[R], int], tokens: int
) -> Iterator[list[Pending[R]]]:
    """Several problems at a time: at most `tokens` tokens, but at least one problem. Records of one problem stand
    together; `size` gives a record's tokens."""
    grouped = itertools.groupby(enumerate(records), key=lambda numbered: numbered[1].problem_id)
    some: list[Pending[R]] = []
    held = 0
    for order, problem, own in ctx.pending((problem, [*own]) for problem, own in grouped):
        one = Pending(order, problem, own[0][0], [record for _, record in own])
        more = sum(map(size, one.records))
        if some and held + more > tokens:
            yield some
            some, held = [], 0
        some.append(one)
        held += more
    if some:
        yield some


def count_read(ctx: Context, given: int, kept: int) -> None:
    """Count records that were read, and those that were too long for the model."""
    ctx.count("in", given)
    ctx.count("out", kept)
    if kept < given:
        ctx.count("dropped.too_long", given - kept)
