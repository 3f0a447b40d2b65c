"""`likelihood`: how sure the policy is of its own tokens."""

from __future__ import annotations

from typing import Literal

from data_gen.errors import UserError
from reasoning_train.evaluation.difficulty.base import DIFFICULTIES, Difficulty, FewSamples


@DIFFICULTIES.register("likelihood")
class MeanLikelihood(Difficulty):
    """The mean over the samples of the policy's mean log-probability per token. A sampler knows it, so it costs nothing
    beyond the samples.

    >>> MeanLikelihood().ease(FewSamples(problem_id="p0", classes=(0, 0), logprobs=(-0.5, -1.0)))
    -0.75
    """

    uses: Literal["likelihood"] = "likelihood"

    def ease(self, samples: FewSamples) -> float:
        """At most 0. UserError if a sample has no log-probabilities."""
        known = [one for one in samples.logprobs if one is not None]
        if len(known) < len(samples.classes):
            raise UserError(
                f"estimate.by: 'likelihood' reads log-probabilities, but a sample of {samples.problem_id!r} has none. "
                "Draw the pool with an engine that gives them, or use `by: agreement`."
            )
        return sum(known) / len(known)
