"""`as_many_as` and `as_many_tokens_as`: stages that select rows take as many rows or trained tokens as another
selection.

Trained tokens are the tokens that carry loss, by weight: a solution's own tokens except masked ones, both sides
of a pair, or the targets of a path.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from data_gen.engines.base import stream_seed
from reasoning_train.api.stage import at_most, gate
from reasoning_train.store.inputs import count_rows
from reasoning_train.store.rows import Rows, write_rows

if TYPE_CHECKING:
    from reasoning_train.api.refs import Ref
    from reasoning_train.api.stage import Context, Sizes


class TrainedTokens(Protocol):
    """A row with a number of trained tokens."""

    @property
    def trained_tokens(self) -> float:
        """Number of tokens that carry loss, by weight."""

    def to_row(self) -> dict[str, Any]:
        """The Parquet row."""

    @classmethod
    def from_row(cls, row: Any) -> Self:
        """The record of a Parquet row."""


R = TypeVar("R", bound=TrainedTokens)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Size of another selection: `Wanted("as_many_as=kept", 700, tokens=False)`."""

    said: str
    amount: float
    tokens: bool

    def choose(self, sizes: Sequence[float], seed: int, name: str, advice: str) -> list[int]:
        """Indices of rows that add up to this size, in random order. GateError of stage `name` if there are too few."""
        have, unit = (sum(sizes), "trained tokens") if self.tokens else (len(sizes), "rows")
        gate(
            have >= self.amount,
            f"{name}: {self.said} asks for {self.amount:g} {unit}, but only {have:g} are left. {advice}",
        )
        rng = random.Random(stream_seed(seed, "as_many_tokens_as" if self.tokens else "as_many_as"))
        if self.tokens:
            return draw_tokens(sizes, self.amount, rng)
        return rng.sample(range(len(sizes)), int(self.amount))


def one_at_most(config: Any) -> None:
    """ValueError if both fields are set."""
    if config.as_many_as and config.as_many_tokens_as:
        raise ValueError(
            "as_many_as, as_many_tokens_as: arms can be equal in rows or in trained tokens; give one of the two"
        )


def read_wanted(config: Any, ctx: Context, tokens_of: Callable[[dict[str, Any]], float]) -> Wanted | None:
    """The size that the config asks for; None if neither field is set."""
    if config.as_many_as:
        return Wanted(f"as_many_as={config.as_many_as}", count_rows(ctx.input(config.as_many_as)), tokens=False)
    if config.as_many_tokens_as:
        ref: Ref = config.as_many_tokens_as
        total = sum(tokens_of(row) for row in Rows(ctx.input(ref).path))
        return Wanted(f"as_many_tokens_as={ref}", total, tokens=True)
    return None


def cut(
    rows: Iterable[R], record: type[R], kind: str, config: Any, ctx: Context, *, name: str, advice: str
) -> Iterator[R]:
    """The rows of stage `name`, or a random choice of the size that its config asks for, in the original order.

    All rows are on disk until their number is known. Only their sizes are in memory.
    """
    wanted = read_wanted(config, ctx, lambda row: record.from_row(row).trained_tokens)
    if wanted is None:
        yield from rows
        return
    waiting, sizes = ctx.partial / "all", list[float]()
    shutil.rmtree(waiting, ignore_errors=True)
    waiting.mkdir()

    def sized() -> Iterator[dict[str, Any]]:
        for row in rows:
            sizes.append(row.trained_tokens)
            yield row.to_row()

    write_rows(waiting, kind, sized())
    chosen = set(wanted.choose(sizes, ctx.seed, name, advice))
    ctx.count(f"dropped.{wanted.said.partition('=')[0]}", len(sizes) - len(chosen))
    for i, row in enumerate(Rows(waiting)):
        if i in chosen:
            yield record.from_row(row)


def fewer_rows(config: Any, rows: int | None, sizes: Sizes) -> dict[str, Any]:
    """Estimate for `plan`: at most as many rows as the selection in `as_many_as`."""
    most = at_most(rows, sizes(config.as_many_as).get("rows") if config.as_many_as else None)
    return {} if most is None else {"rows": most}


def draw_tokens(tokens: Sequence[float], wanted: float, rng: random.Random) -> list[int]:
    """Indices of rows in random order whose `tokens` sum to `wanted`, to within half of the last row's.

    Rows are indivisible, so the sum is the nearer of the two possible sums around `wanted`. All rows are taken if their
    sum is no more than `wanted`. The order of rows does not depend on `wanted`, so a smaller choice is part of a larger
    one.

    >>> draw_tokens([5, 5, 5, 5], 11, random.Random(0))
    [3, 1]
    """
    total, chosen = 0.0, list[int]()
    for i in rng.sample(range(len(tokens)), len(tokens)):
        if total + tokens[i] - wanted > wanted - total:
            break
        total += tokens[i]
        chosen.append(i)
    return chosen
