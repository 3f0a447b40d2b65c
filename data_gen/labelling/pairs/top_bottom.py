"""The best siblings that lead to right answers against the worst that lead to wrong ones (rStar-Math, arXiv 2501.04519,
section 3.3).

What differs from the released code: ends without an answer count as wrong (there only wrong answers do); the margin and
the edit distance are conditions of the rule (there of a script that reads its pairs).
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from data_gen.labelling.pairs.base import PAIR_RULES, Side
from data_gen.labelling.pairs.siblings import SiblingRule
from data_gen.labelling.reach import View
from data_gen.records.labels import StepPair
from data_gen.records.scales import Scale
from data_gen.similarity import edit_distance


@PAIR_RULES.register("top_bottom")
class TopBottom(SiblingRule):
    """Top k against bottom k of one parent's children. The weight of a pair is 1 / (number on top * number at the
    bottom)."""

    version: ClassVar[int] = 2
    uses: Literal["top_bottom"] = "top_bottom"
    scale: Scale = Scale.SIGNED
    k: int = Field(2, ge=1)
    against_one: int = Field(4, ge=1)
    """Most steps of one side where the other side has a single step. At least `k` are taken."""
    margin: float = Field(0.5, gt=0)
    """Least difference of the scores, on `scale`."""
    min_edit: int = Field(20, ge=0)
    """Least edit distance of the texts, in characters. Scores of steps that say the same differ only by noise."""
    paths: bool = True
    """Only pairs whose better side also has the higher mean score along its path: from the step down by the best step
    that leads to a right answer, against down by the worst one that leads to a wrong answer."""

    def pairs(self, view: View, rng: random.Random) -> Iterator[StepPair]:
        """Parents first."""
        for parent in view.inner():
            sides = self.sides(view, parent)
            top = [side for side in sides if _leads(view, side, right=True)]
            bottom = [side for side in reversed(sides) if _leads(view, side, right=False)]
            top, bottom = top[: self._most(bottom)], bottom[: self._most(top)]
            for better, worse in itertools.product(top, bottom):
                apart = better.score - worse.score >= self.margin and self._differ(better, worse)
                if apart and (not self.paths or self._goes_on_better(view, better, worse)):
                    yield self.join(view, better, worse, weight=1 / (len(top) * len(bottom)))

    def _most(self, others: list[Side]) -> int:
        """How many steps a side may have against `others`."""
        return max(self.k, self.against_one) if len(others) == 1 else self.k

    def _goes_on_better(self, view: View, better: Side, worse: Side) -> bool:
        return self._along(view, better, right=True) > self._along(view, worse, right=False)

    def _along(self, view: View, side: Side, *, right: bool) -> float:
        """Mean score from a step down to an end: by the best that leads to a right answer, or by the worst that leads
        to a wrong one."""
        scores = [side.score]
        while steps := [s for s in self.sides(view, side.node) if _leads(view, s, right=right)]:
            side = steps[0] if right else steps[-1]
            scores.append(side.score)
        return sum(scores) / len(scores)

    def _differ(self, a: Side, b: Side) -> bool:
        return edit_distance(a.node.text.strip(), b.node.text.strip(), most=self.min_edit) >= self.min_edit


def _leads(view: View, side: Side, *, right: bool) -> bool:
    below = view.reach[side.node.node]
    return (below.right if right else below.wrong) > 0
