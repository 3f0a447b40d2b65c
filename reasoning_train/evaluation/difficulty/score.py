"""`score`: what a verifier thinks of the samples (Snell et al., arXiv 2408.03314, section 3.2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

from data_gen.errors import UserError
from reasoning_train.evaluation.difficulty.base import DIFFICULTIES, Difficulty, FewSamples

_AGGREGATES: dict[str, Callable[[Sequence[float]], float]] = {
    "last": lambda values: values[-1],
    "min": min,
    "mean": lambda values: sum(values) / len(values),
    "prod": math.prod,
}


@DIFFICULTIES.register("score")
class MeanScore(Difficulty):
    """The mean of a verifier's scores of the samples: the paper's model-predicted difficulty. What the verifier reads
    is charged.

    >>> MeanScore().ease(FewSamples(problem_id="p0", classes=(0, -1), values=((0.5, 0.9), ())))
    0.45
    """

    reads_values: ClassVar[bool] = True

    uses: Literal["score"] = "score"
    aggregate: Literal["last", "min", "mean", "prod"] = "last"
    """How the values of a sample's steps become its score."""

    def ease(self, samples: FewSamples) -> float:
        """From 0 to 1 for probabilities. A sample without an answer has the score 0."""
        scored = zip(samples.classes, samples.values, strict=True)
        return sum(self._score(values, samples) for number, values in scored if number >= 0) / len(samples.classes)

    def _score(self, values: Sequence[float | None], samples: FewSamples) -> float:
        read = values[-1:] if self.aggregate == "last" else values
        known = [value for value in read if value is not None]
        if not known or len(known) < len(read):
            raise UserError(
                f"estimate.by: aggregate {self.aggregate!r} reads a verifier's values, but a sample of "
                f"{samples.problem_id!r} has steps without one. Grow the pool by a search with a `scorer` that scores "
                "every step (`best_of_n` with `per_step: true`), or use `aggregate: last` or `by: agreement`."
            )
        return _AGGREGATES[self.aggregate](known)
