"""The best siblings that lead to right answers against the worst that lead to wrong ones (rStar-Math, arXiv
2501.04519)."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Literal

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

    uses: Literal["top_bottom"] = "top_bottom"
    scale: Scale = Scale.SIGNED
    k: int = Field(2, ge=1)
    margin: float = Field(0.5, gt=0)
    """Least difference of the scores, on `scale`."""
    min_edit: int = Field(20, ge=0)
    """Least edit distance of the texts, in characters. Scores of steps that say the same differ only by noise."""

    def pairs(self, view: View, rng: random.Random) -> Iterator[StepPair]:
        """Parents first."""
        for parent in view.inner():
            sides = self.sides(view, parent)
            top = [side for side in sides if view.reach[side.node.node].right > 0][: self.k]
            bottom = [side for side in sides if view.reach[side.node.node].wrong > 0][-self.k :]
            for better, worse in itertools.product(top, bottom):
                if better.score - worse.score >= self.margin and self._differ(better, worse):
                    yield self.join(view, better, worse, weight=1 / (len(top) * len(bottom)))

    def _differ(self, a: Side, b: Side) -> bool:
        return edit_distance(a.node.text.strip(), b.node.text.strip(), most=self.min_edit) >= self.min_edit
