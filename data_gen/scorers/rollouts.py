"""Monte-Carlo rollouts: the share of completions that end right (Math-Shepherd, arXiv 2312.08935; Snell et al., arXiv
2408.03314).

Every completion is returned with the score, so that the tree keeps it: the same tokens serve labels, ratios and SFT.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from data_gen.engines.base import LM, Sample, Sampling
from data_gen.records.prefix import Prefix
from data_gen.records.scales import Scale
from data_gen.scorers.base import SCORERS, GrantedGold, Rollout, Score, ScorerConfig, Tools


class Sequential(BaseModel):
    """Stop as soon as it is clear on which side of `threshold` the value lies: `Sequential(threshold=0.5,
    confidence=0.95, batch=4)`.

    It is clear once the Beta posterior under a uniform prior puts `confidence` of its mass on one side. The share of
    right completions is then biased away from the threshold. The counts in the tree say how many were drawn.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: float = Field(0.5, gt=0, lt=1)
    confidence: float = Field(0.95, gt=0.5, lt=1)
    batch: int = Field(4, ge=1)
    """Completions between two evaluations of the stopping rule."""

    def decided(self, right: int, total: int) -> bool:
        """Whether no more completions are needed."""
        above = mass_above(self.threshold, right, total - right)
        return max(above, 1 - above) >= self.confidence


@SCORERS.register("rollouts")
class Rollouts(ScorerConfig):
    """`{uses: rollouts, m: 8}`: the share of m completions that end right.

    A finished solution is worth its outcome. If no completion can be verified, the value is 0.5.
    """

    uses: Literal["rollouts"] = "rollouts"
    m: int = Field(8, ge=1)
    """Most completions per prefix."""
    temperature: float = Field(1.0, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    max_length: int = Field(512, ge=1)
    """Token limit, counted from the prompt. A completion that is cut there counts as wrong. Set it as in the search."""
    sequential: Sequential | None = None
    """None: always draw m."""

    @model_validator(mode="after")
    def _worth_it(self) -> Rollouts:
        if self.sequential and self.sequential.batch >= self.m:
            raise ValueError(
                f"sequential.batch={self.sequential.batch} leaves nothing to stop; expected less than m={self.m}"
            )
        return self

    @property
    def rolls_out(self) -> bool:
        """Always True."""
        return True

    @property
    def needs_gold(self) -> bool:
        """True: completions are graded."""
        return True

    def draws(self) -> tuple[int, int]:
        """m completions of the greatest length."""
        return self.m, self.m * self.max_length

    def open(self, tools: Tools) -> _Rollouts:
        """UserError if the stage does not grant gold."""
        return _Rollouts(self, tools.granted("scorer.rollouts"), tools)


class _Rollouts:
    scale = Scale.P

    def __init__(self, config: Rollouts, gold: GrantedGold, tools: Tools) -> None:
        self.name = f"rollouts({config.m}):{tools.policy_hash}"
        self._config, self._gold, self._codec, self._context = config, gold, tools.codec, tools.context

    async def __call__(self, prefixes: Sequence[Prefix], lm: LM) -> list[Score]:
        """All prefixes at once."""
        return list(await asyncio.gather(*(self._score(prefix, lm.at(i)) for i, prefix in enumerate(prefixes))))

    async def _score(self, prefix: Prefix, lm: LM) -> Score:
        if prefix.ended:
            outcome = await self._gold.outcome(prefix.problem, prefix.solution)
            return Score(0.5 if outcome is None else outcome)
        room = min(self._config.max_length, self._context - len(prefix.prompt_ids)) - len(prefix.token_ids)
        if room < 1:
            return Score(0.0)
        rollouts: list[Rollout] = []
        for turn, n in enumerate(self._batches()):
            rollouts += await self._draw(prefix, n, room, lm.at(turn))
            outcomes = [rollout.outcome for rollout in rollouts if rollout.outcome is not None]
            if self._config.sequential and self._config.sequential.decided(int(sum(outcomes)), len(outcomes)):
                break
        return Score(sum(outcomes) / len(outcomes) if outcomes else 0.5, rollouts=tuple(rollouts))

    def _batches(self) -> list[int]:
        m = self._config.m
        size = self._config.sequential.batch if self._config.sequential else m
        return [min(size, m - done) for done in range(0, m, size)]

    async def _draw(self, prefix: Prefix, n: int, room: int, lm: LM) -> list[Rollout]:
        start, how = (*prefix.prompt_ids, *prefix.token_ids), self._config
        sampling = Sampling(max_tokens=room, temperature=how.temperature, top_p=how.top_p)
        samples = await lm.generate(start, n, sampling, prompt_length=len(prefix.prompt_ids))
        answers = [self._answer(prefix, sample) for sample in samples]
        solutions = [
            None if a is None else (*prefix.token_ids, *s.token_ids) for s, a in zip(samples, answers, strict=True)
        ]
        outcomes = await asyncio.gather(*(self._gold.outcome(prefix.problem, ids) for ids in solutions))
        return [Rollout(s, a, o) for s, a, o in zip(samples, answers, outcomes, strict=True)]

    def _answer(self, prefix: Prefix, sample: Sample) -> str | None:
        """The answer of the whole solution. A completion that was cut has none."""
        if sample.finish != "stop":
            return None
        return self._codec.answer((*prefix.token_ids, *sample.token_ids))


def mass_above(threshold: float, right: int, wrong: int) -> float:
    """P(p > threshold) for p ~ Beta(right + 1, wrong + 1), computed as the probability of at most `right` successes in
    right + wrong + 1 draws with success probability `threshold`.

    >>> mass_above(0.5, 0, 0), mass_above(0.5, 1, 0)
    (0.5, 0.75)
    """
    n = right + wrong + 1
    return math.fsum(math.comb(n, k) * threshold**k * (1 - threshold) ** (n - k) for k in range(right + 1))
