"""Draws continuations of a prefix: whole ones, or single steps that are more than white space."""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass

from data_gen.engines.base import LM, Sample, Sampling
from data_gen.search.reading import Reader

BLANKS = 3
"""How many times a step of only white space is continued. Some tokenizers put a blank line before every step."""


@dataclass(frozen=True, slots=True)
class Pen:
    """What all draws of one request share: the sampling settings, the prompt's length and the reader of the samples."""

    sampling: Sampling
    prompt_length: int
    reader: Reader

    async def draw(self, prefix: tuple[int, ...], n: int, lm: LM) -> list[Sample]:
        """n samples. `lm` is at the request's own path."""
        return await lm.generate(prefix, n, self.sampling, prompt_length=self.prompt_length)

    async def draw_steps(self, prefix: tuple[int, ...], n: int, lm: LM) -> list[Sample]:
        """n whole steps. None is blank unless the policy keeps drawing white space."""
        samples, before = await self.draw(prefix, n, lm), prefix[self.prompt_length :]
        open_ = [i for i, sample in enumerate(samples) if self.reader.unfinished(before, sample)]
        drawn_on = await asyncio.gather(*(self._to_its_end(prefix, samples[i], lm.at("blank", i)) for i in open_))
        for i, whole in zip(open_, drawn_on, strict=True):
            samples[i] = whole
        return samples

    async def _to_its_end(self, prefix: tuple[int, ...], sample: Sample, lm: LM) -> Sample:
        """Continues a step that is only white space so far or is inside a marked span, as `StepCodec.split` will read
        it. The whole step stays within `max_tokens`."""
        blanks, turn, before = 0, 0, prefix[self.prompt_length :]
        while self.reader.unfinished(before, sample):
            blanks += self.reader.blank(sample)
            room = self.sampling.max_tokens - len(sample.token_ids)
            if blanks > BLANKS or room < 1:
                break
            rest = dataclasses.replace(self, sampling=dataclasses.replace(self.sampling, max_tokens=room))
            [more] = await rest.draw((*prefix, *sample.token_ids), 1, lm.at(turn))
            ids, logprobs = sample.token_ids + more.token_ids, sample.logprobs + more.logprobs
            sample, turn = Sample(token_ids=ids, logprobs=logprobs, finish=more.finish, value=more.value), turn + 1
        return sample
