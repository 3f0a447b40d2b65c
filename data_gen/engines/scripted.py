"""A deterministic engine without a model: a function answers. It tests call graphs and everything around sampling."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence

from data_gen.engines.base import Request, Sample, Usage
from data_gen.errors import UserError

Prefix = tuple[int, ...]
Script = Callable[[Prefix, int], Sequence[int]]


class ScriptedEngine:
    """Continues a prefix by `script(prefix, seed)`, or by a table's entry for it. Every token has probability 1/2.

    A continuation longer than `max_tokens` is cut (finish `length`). A shorter one is whole (`stop`). The script must
    handle stop strings. One turn of the event loop passes before an answer, so that programs interleave as they do over
    a model.

    >>> engine = ScriptedEngine({(1, 2): (3, 4)})
    >>> from data_gen.engines.base import Sampling
    >>> asyncio.run(engine.generate(Request(prefix=(1, 2), sampling=Sampling(max_tokens=1), seeds=(7,))))[0].token_ids
    (3,)
    """

    seeded = True

    def __init__(self, script: Script | Mapping[Prefix, Sequence[int]]) -> None:
        self._script = script if callable(script) else _from_table(script)
        self.usage = Usage()

    async def generate(self, request: Request) -> list[Sample]:
        """`len(request.seeds)` continuations in seed order. UserError if a table has no entry for the prefix."""
        await asyncio.sleep(0)
        most = request.sampling.max_tokens
        samples = [_sample(self._script(request.prefix, seed), most) for seed in request.seeds]
        usage = self.usage
        usage.requests += 1
        usage.samples += len(samples)
        usage.prompt_tokens += len(request.prefix)
        usage.generated_tokens += sum(len(sample.token_ids) for sample in samples)
        return samples

    async def score(self, prefix: Sequence[int], continuations: Sequence[Sequence[int]]) -> list[list[float]]:
        """log 1/2 for every token."""
        await asyncio.sleep(0)
        self.usage.requests += 1
        self.usage.prompt_tokens += len(prefix)
        self.usage.scored_tokens += sum(map(len, continuations))
        return [[-math.log(2)] * len(continuation) for continuation in continuations]

    async def aclose(self) -> None:
        """Nothing to close."""


def _sample(ids: Sequence[int], most: int) -> Sample:
    kept = tuple(ids[:most])
    return Sample(
        token_ids=kept, logprobs=(-math.log(2),) * len(kept), finish="stop" if len(kept) == len(ids) else "length"
    )


def _from_table(table: Mapping[Prefix, Sequence[int]]) -> Script:
    def look_up(prefix: Prefix, seed: int) -> Sequence[int]:
        """The table's ids, whatever the seed."""
        if prefix not in table:
            raise UserError(
                f"The script has no continuation for the prefix {prefix}; add it to the table ({len(table)} entries)."
            )
        return table[prefix]

    return look_up
