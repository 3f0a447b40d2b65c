"""Mean log-probability of the solution under an LM: the score of Math-Rev (arXiv 2410.05318), which tunes its LM by
SimPO."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from data_gen.engines.base import LM
from data_gen.errors import UserError
from data_gen.records.prefix import Prefix
from data_gen.records.scales import Scale
from data_gen.scorers.base import SCORERS, Score, Scorer, ScorerConfig, Tools

if TYPE_CHECKING:
    from data_gen.verifiers.gather import Gather
    from data_gen.verifiers.reading import PrefixReader


@SCORERS.register("likelihood")
class Likelihood(ScorerConfig):
    """`{uses: likelihood}`: (1/|y|) log p(y | q), untempered.

    The LM is the stage's `verifier` model, or the policy if there is none.

    It ranks solutions of one problem. A solution without tokens scores 0.
    """

    uses: Literal["likelihood"] = "likelihood"

    def open(self, tools: Tools) -> Scorer:
        """Loads the verifier, if there is one. UserError if its Format differs."""
        if tools.verifier is None:
            return _PolicyLikelihood(tools.policy_hash)
        from data_gen.models.context import context_length
        from data_gen.verifiers.checkpoint import load_backbone
        from data_gen.verifiers.forward import MeanLogprob
        from data_gen.verifiers.gather import Gather
        from data_gen.verifiers.reading import PrefixReader

        model, codec = load_backbone(tools.verifier, "from_vocab")
        codec.format.check_same_task(tools.codec.format, "the verifier", "the policy")
        reader = PrefixReader(codec, tools.codec, "last")
        context = context_length(model.config)
        return _ModelLikelihood(tools.verifier_hash, context, reader, Gather(MeanLogprob(model).values))


class _PolicyLikelihood:
    scale = Scale.RANKING

    def __init__(self, policy_hash: str) -> None:
        self.name = f"likelihood:{policy_hash}"

    async def __call__(self, prefixes: Sequence[Prefix], lm: LM) -> list[Score]:
        """All prefixes at once."""
        return list(await asyncio.gather(*(self._score(prefix, lm) for prefix in prefixes)))

    async def _score(self, prefix: Prefix, lm: LM) -> Score:
        if not prefix.token_ids:
            return Score(0.0)
        [logprobs] = await lm.score(prefix.prompt_ids, [prefix.token_ids])
        return Score(math.fsum(logprobs) / len(logprobs), tokens=len(prefix.prompt_ids) + len(prefix.token_ids))


class _ModelLikelihood:
    scale = Scale.RANKING

    def __init__(self, verifier_hash: str, context: int, reader: PrefixReader, gather: Gather) -> None:
        self.name, self._context, self._reader, self._gather = f"likelihood:{verifier_hash}", context, reader, gather

    async def __call__(self, prefixes: Sequence[Prefix], lm: LM) -> list[Score]:
        """One forward for all waiting prefixes. Each prefix is charged in full."""
        readings = [self._reader.read_after_prompt(prefix) for prefix in prefixes]
        for prefix, reading in zip(prefixes, readings, strict=True):
            if len(reading.ids) > self._context:
                raise UserError(
                    f"scorer {self.name}: a partial solution of problem {prefix.problem.id!r} has {len(reading.ids)} "
                    f"tokens, more than the verifier's context of {self._context}. Lower the search's `max_length` or "
                    "take a verifier with a longer context."
                )
        written = [len(reading.ids) > reading.at[0] + 1 for reading in readings]
        found = iter(
            await self._gather.values([reading for reading, some in zip(readings, written, strict=True) if some])
        )
        return [
            Score(next(found)[0], tokens=len(reading.ids)) if some else Score(0.0)
            for reading, some in zip(readings, written, strict=True)
        ]
