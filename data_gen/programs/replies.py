"""What a model answers to a program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from data_gen.engines.base import Sample
from data_gen.format import StepCodec
from data_gen.records.calls import Turn
from data_gen.records.segment import Segment, said

Finish = Literal["stop", "length", "no_room"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One completion of a prompt: `(await kit.ask())[0].said` is its text without thoughts.

    One that a limit cut is not whole, whatever answer it seems to hold.
    """

    index: int
    asked: tuple[Turn, ...]
    """The conversation. Empty: the policy's own prompt of the question."""
    prompt: str
    prompt_ids: tuple[int, ...]
    sample: Sample
    segments: tuple[Segment, ...]
    finish: Finish
    """`no_room`: the prompt left no room in the context, so nothing was asked."""
    answer: str | None
    """The final answer that it marks, by the task's Format. None if it was cut."""
    temperature: float

    @property
    def whole(self) -> bool:
        """Whether it ended by itself."""
        return self.finish == "stop"

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(segment.text for segment in self.segments)

    @property
    def said(self) -> str:
        """Its text without thoughts and outputs of tools, stripped: what goes into later prompts."""
        return said(self.segments).strip()


def read_reply(
    sample: Sample,
    codec: StepCodec,
    prompt: tuple[str, tuple[int, ...], tuple[Turn, ...]],
    index: int,
    temperature: float,
) -> Reply:
    """A sample as a reply. `prompt`: (text, ids, conversation)."""
    sample, (text, ids, asked) = sample.until(codec.end_ids), prompt
    whole = sample.finish == "stop"
    return Reply(
        index=index,
        asked=asked,
        prompt=text,
        prompt_ids=ids,
        sample=sample,
        segments=codec.split(sample.token_ids, sample.thought),
        finish=sample.finish,
        # A completion cut by the length limit has no final answer, whatever number it happens to hold.
        answer=codec.answer(sample.token_ids, sample.thought) if whole else None,
        temperature=temperature,
    )


def no_room(prompt: tuple[str, tuple[int, ...], tuple[Turn, ...]], index: int, temperature: float) -> Reply:
    """The reply to a prompt that fills the context."""
    text, ids, asked = prompt
    return Reply(
        index=index,
        asked=asked,
        prompt=text,
        prompt_ids=ids,
        sample=Sample(token_ids=(), logprobs=(), finish="length"),
        segments=(),
        finish="no_room",
        answer=None,
        temperature=temperature,
    )
