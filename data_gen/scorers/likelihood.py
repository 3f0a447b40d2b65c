"""Mean log-prob of the solution under the policy: the score of Math-Rev (arXiv 2410.05318), whose verifier is an LM tuned by SimPO."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Literal

from data_gen.engines.base import LM
from data_gen.scales import Scale
from data_gen.scorers.base import SCORERS, Prefix, Score, ScorerConfig, Tools


@SCORERS.register("likelihood")
class Likelihood(ScorerConfig):
    """`{uses: likelihood}`: (1/|y|) log pi(y | q), the untempered policy's; it ranks solutions of one problem. 0 for an empty one."""

    uses: Literal["likelihood"] = "likelihood"

    def open(self, tools: Tools) -> _Likelihood:
        """Needs nothing but the policy."""
        return _Likelihood(tools.policy_hash)


class _Likelihood:
    scale = Scale.RANKING

    def __init__(self, policy_hash: str) -> None:
        self.name = f"likelihood:{policy_hash}"

    async def __call__(self, prefixes: Sequence[Prefix], lm: LM) -> list[Score]:
        """All at once."""
        return list(await asyncio.gather(*(self._score(prefix, lm) for prefix in prefixes)))

    async def _score(self, prefix: Prefix, lm: LM) -> Score:
        if not prefix.token_ids:
            return Score(0.0)
        [logprobs] = await lm.score(prefix.prompt_ids, [prefix.token_ids])
        return Score(math.fsum(logprobs) / len(logprobs), tokens=len(prefix.prompt_ids) + len(prefix.token_ids))
