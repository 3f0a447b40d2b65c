"""A constant value for every prefix, for baselines and for searches that use outcomes only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from data_gen.engines.base import LM
from data_gen.records.prefix import Prefix
from data_gen.records.scales import Scale
from data_gen.scorers.base import SCORERS, Score, ScorerConfig, Tools


@SCORERS.register("constant")
class Constant(ScorerConfig):
    """`{uses: constant, value: 0.5}`: P(correct) of every prefix."""

    uses: Literal["constant"] = "constant"
    value: float = Field(0.5, ge=0, le=1)

    def open(self, tools: Tools) -> _Constant:
        """Needs no tools."""
        return _Constant(self.value)


class _Constant:
    scale = Scale.P

    def __init__(self, value: float) -> None:
        self.name, self._value = f"constant({value:g})", value

    async def __call__(self, prefixes: Sequence[Prefix], lm: LM) -> list[Score]:
        """The value, at no cost."""
        return [Score(self._value)] * len(prefixes)
