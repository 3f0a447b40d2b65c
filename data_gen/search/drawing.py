"""Drawing continuations of a prefix: whole ones, or steps that are more than white space."""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass

from data_gen.engines.base import LM, Sample, Sampling
from data_gen.search.reading import Reader

BLANKS = 3
"""A step of white space only is drawn on this many times: some tokenizers put a blank line before every step."""


@dataclass(frozen=True, slots=True)
class Pen:
    """What every draw of one request shares: how to sample, how long the prompt is, who reads the samples."""

    sampling: Sampling
    prompt_length: int
    reader: Reader

    async def draw(self, prefix: tuple[int, ...], n: int, lm: LM) -> list[Sample]:
        """n samples; `lm` stands at the request's own path."""
        return await lm.generate(prefix, n, self.sampling, prompt_length=self.prompt_length)

    async def draw_steps(self, prefix: tuple[int, ...], n: int, lm: LM) -> list[Sample]:
        """n steps, none of them blank unless the policy insists."""
        samples = await self.draw(prefix, n, lm)
        blank = [i for i, sample in enumerate(samples) if self.reader.blank(sample)]
        drawn_on = await asyncio.gather(*(self._past_blanks(prefix, samples[i], lm.at("blank", i)) for i in blank))
        for i, whole in zip(blank, drawn_on, strict=True):
            samples[i] = whole
        return samples

    async def _past_blanks(self, prefix: tuple[int, ...], sample: Sample, lm: LM) -> Sample:
        """A step that is only white space so far goes on, as `StepCodec.split` will read it; together it keeps to
        `max_tokens`."""
        for turn in range(BLANKS):
            room = self.sampling.max_tokens - len(sample.token_ids)
            if not self.reader.blank(sample) or room < 1:
                break
            rest = dataclasses.replace(self, sampling=dataclasses.replace(self.sampling, max_tokens=room))
            [more] = await rest.draw((*prefix, *sample.token_ids), 1, lm.at(turn))
            ids, logprobs = sample.token_ids + more.token_ids, sample.logprobs + more.logprobs
            sample = Sample(token_ids=ids, logprobs=logprobs, finish=more.finish, value=more.value)
        return sample
