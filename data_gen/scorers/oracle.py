"""The exact step checker with noise of known size. It shows how good a verifier must be for a search to pay off."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from data_gen.engines.base import LM, stream_seed
from data_gen.records.prefix import Prefix
from data_gen.records.scales import Scale, clip_p, sigmoid
from data_gen.scorers.base import SCORERS, GrantedGold, Score, ScorerConfig, Tools
from data_gen.scorers.exact_steps import all_right


@SCORERS.register("oracle")
class Oracle(ScorerConfig):
    """`{uses: oracle, noise: log_odds, amount: 2}`: sigmoid(+-signal + N(0, amount)), + while nothing is wrong.

    Its AUC is Phi(sqrt(2) * signal / amount). `{uses: oracle, noise: uniform, amount: 0.5}`: (1 - amount) * p + amount
    * U(0, 1) with p = sigmoid(+-signal). A prefix's noise depends only on the seed, the problem and the prefix.
    """

    uses: Literal["oracle"] = "oracle"
    noise: Literal["log_odds", "uniform"] = "log_odds"
    amount: float = Field(1.0, ge=0)
    """Standard deviation in log-odds, or the share of uniform noise."""
    signal: float = Field(3.0, gt=0)
    """Distance of both exact values from log-odds 0: 3 is 0.953 and 0.047."""

    @model_validator(mode="after")
    def _share(self) -> Oracle:
        if self.noise == "uniform" and self.amount > 1:
            raise ValueError(f"amount: a share of noise must lie in [0, 1], got {self.amount:g}")
        return self

    @property
    def needs_step_checker(self) -> bool:
        """Always True."""
        return True

    @property
    def needs_gold(self) -> bool:
        """True: the checker knows the right steps."""
        return True

    def open(self, tools: Tools) -> _Oracle:
        """UserError if the stage does not grant gold."""
        return _Oracle(self, tools.granted("scorer.oracle"), tools.seed)


class _Oracle:
    scale = Scale.P

    def __init__(self, config: Oracle, gold: GrantedGold, seed: int) -> None:
        self.name = f"oracle:{config.noise}({config.amount:g})"
        self._config, self._gold, self._seed = config, gold, seed

    async def __call__(self, prefixes: Sequence[Prefix], lm: LM) -> list[Score]:
        """UserError if the task cannot check steps."""
        return [Score(self._noisy(prefix, await all_right(self._gold, prefix, "scorer.oracle"))) for prefix in prefixes]

    def _noisy(self, prefix: Prefix, right: bool) -> float:
        how = self._config
        odds = how.signal if right else -how.signal
        rng = random.Random(stream_seed(self._seed, "oracle", prefix.problem.id, *prefix.token_ids))
        if how.noise == "log_odds":
            return clip_p(sigmoid(odds + rng.gauss(0.0, how.amount)))
        return (1 - how.amount) * sigmoid(odds) + how.amount * rng.random()
