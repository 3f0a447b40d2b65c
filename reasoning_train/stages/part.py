"""`part`: the k-th of n disjoint parts of the problems, e.g. fresh problems in every round.

fresh: {uses: part, problems: "${task.explore}", part: "${round}", of: 3}
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from typing import Any

from pydantic import Field, model_validator

from data_gen.records.problem import Problem
from reasoning_train.api.refs import ProblemsRef
from reasoning_train.api.stage import Context, Sizes, StageConfig, gate, stage
from reasoning_train.store.inputs import pass_on_tasks, read_problems
from reasoning_train.store.rows import write_rows


class PartConfig(StageConfig):
    """Which part of which problems. The parts of one division share no problem and no group, and together they are all
    of the problems."""

    problems: ProblemsRef
    part: int = Field(ge=1)
    """Counted from 1, so that `${round}` can be used."""
    of: int = Field(ge=1)
    """How many parts."""
    salt: int = Field(0, ge=0)
    """A different number gives a different division."""

    @model_validator(mode="after")
    def _within(self) -> PartConfig:
        if self.part > self.of:
            raise ValueError(
                f"part: there are {self.of} parts (`of`), so part {self.part} does not exist; raise `of`, for "
                "`${round}` to the number of rounds"
            )
        return self

    def division(self) -> tuple[int, int, int]:
        """The part and what it is a part of."""
        return self.of, self.salt, self.part


@stage("part", version=1, outputs={"data": "problems"}, seeded=False, heavy=False, carries="problems")
def part(config: PartConfig, ctx: Context) -> None:
    """Stream the rows and keep those of the part, in order."""
    source, out = ctx.input(config.problems), ctx.output("data")
    rows = write_rows(out, "problems", (p.to_row() for p in _kept(read_problems(source), config, ctx)))
    gate(
        rows > 0,
        f"part: part {config.part} of {config.of} of {config.problems} has no problem. Divide into fewer parts, or "
        "bring more problems.",
    )
    pass_on_tasks(source, out, ctx)


@part.estimate
def size(config: PartConfig, sizes: Sizes) -> dict[str, Any]:
    """Rows of the part: the mean plus four standard deviations, so that hardly any division exceeds it. Groups are
    taken to be single problems, since larger ones are not known before the stage runs."""
    rows = sizes(config.problems).get("rows")
    if rows is None:
        return {}
    share = 1 / config.of
    return {"rows": min(rows, math.ceil(rows * share + 4 * math.sqrt(rows * share * (1 - share))))}


def part_of(group: str, of: int, salt: int = 0) -> int:
    """The part, 1 to `of`, that a group belongs to. It depends on a hash of the group alone, so problems added later
    move no others.

    >>> [part_of(group, 3) for group in "abcde"]
    [1, 2, 2, 3, 1]
    """
    digest = hashlib.blake2b(f"{salt}\n{group}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % of + 1


def _kept(problems: Iterator[Problem], config: PartConfig, ctx: Context) -> Iterator[Problem]:
    for problem in problems:
        ctx.count("in")
        if part_of(problem.group, config.of, config.salt) == config.part:
            ctx.count("out")
            yield problem
        else:
            ctx.count("dropped.other_part")
