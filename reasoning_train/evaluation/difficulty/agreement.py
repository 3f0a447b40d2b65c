"""`agreement`: how many of the samples give the most frequent answer."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from reasoning_train.evaluation.difficulty.base import DIFFICULTIES, Difficulty, FewSamples


@DIFFICULTIES.register("agreement")
class Agreement(Difficulty):
    """The share of the samples that give the most frequent answer. It needs no verifier.

    >>> Agreement().ease(FewSamples(problem_id="p0", classes=(0, 1, 0, -1)))
    0.5
    """

    uses: Literal["agreement"] = "agreement"

    def ease(self, samples: FewSamples) -> float:
        """From 0 (no sample has an answer) to 1 (all agree). A sample without an answer agrees with none."""
        found = Counter(number for number in samples.classes if number >= 0)
        return max(found.values(), default=0) / len(samples.classes)
