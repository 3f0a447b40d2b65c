"""Conversion between token ids and text for a server: the text to send for a prefix, and the ids of a returned
continuation."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from data_gen.engines.base import Sample, Sampling
from data_gen.engines.openai.choices import ServerChoice
from data_gen.errors import UserError
from data_gen.marks import Mark

PADDING = 1024
"""A model may have so many more ids than its tokenizer, since vocabularies are padded to round sizes."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """The text of a prefix, and whether the server's tokenizer makes the same ids of it: `Spelling("Ana has 12",
    True)`."""

    text: str
    exact: bool


class TextBridge:
    """Converts ids to text and back with the policy's `tokenizer`.

    Args:
        end_id: Ends a solution that a server returns as text.
        end_ids: All that end one. What follows the first is cut off.
        think: The Format's mark of thoughts, which is put around reasoning that a server gives apart.
        keeps_stop: See ServerTraits.
    """

    def __init__(
        self,
        tokenizer: Any,
        end_id: int,
        end_ids: Collection[int] = (),
        *,
        think: Mark | None = None,
        keeps_stop: bool,
    ) -> None:
        self._tokenizer, self._end_id, self._keeps_stop = tokenizer, end_id, keeps_stop
        self._end_ids, self._think = frozenset(end_ids), think
        self.id_limit: int = len(tokenizer) + PADDING
        """Ids from here on are not the policy's."""

    def spell(self, ids: Sequence[int]) -> Spelling:
        """The text of a prefix. A token that the tokenizer adds in front (bos) is left out, since the server will add
        it, too."""
        for begin in (0, 1):
            text = self._tokenizer.decode(
                list(ids[begin:]), skip_special_tokens=False, clean_up_tokenization_spaces=False
            )
            if self._tokenizer(text)["input_ids"] == list(ids):
                return Spelling(text, True)
        own = len(self._tokenizer("")["input_ids"])
        return Spelling(
            self._tokenizer.decode(list(ids[own:]), skip_special_tokens=False, clean_up_tokenization_spaces=False),
            False,
        )

    def message(self, ids: Sequence[int]) -> str:
        """A prompt as a user message, without special tokens, since the server's chat template adds its own. UserError
        if the tokenizer has lost a part of it."""
        text = self._tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        # A control token that the question spells was read as text.
        again = (self._tokenizer(text, add_special_tokens=False, split_special_tokens=s) for s in (False, True))
        if not any(encoded["input_ids"] == list(ids) for encoded in again):
            raise UserError(
                f"The prompt {text[:80]!r} does not survive the policy's tokenizer; give one that knows all its "
                "characters."
            )
        return text

    def sample(self, choice: ServerChoice, sampling: Sampling) -> Sample:
        """A continuation with its ids: the server's own, else the text tokenised once, with the end token if it ended
        by itself.

        `logprobs` is empty unless there is one for every id.
        """
        finish: Literal["stop", "length"] = "stop" if choice.finish == "stop" else "length"
        marked = self._marked(choice)
        apart = () if marked or not choice.thought else self._encoded(choice.thought.rstrip() + "\n\n")
        ids = choice.ids if choice.ids is not None else (*apart, *self._ids(choice, marked, sampling.stop))
        found = [value for value in choice.logprobs if value is not None]
        logprobs = tuple(found) if len(found) == len(ids) else ()
        thought = len(apart) if choice.ids is None else 0
        # Ids of a server are what the model drew: what ends nothing for the policy is no end. Text ends with `end_id`.
        ends = self._end_ids if choice.ids is not None else self._end_ids | {self._end_id}
        return Sample(token_ids=ids, logprobs=logprobs, finish=finish, thought=thought).until(ends)

    def _marked(self, choice: ServerChoice) -> str:
        """Reasoning in the Format's marks, so that it is read like any thoughts; empty if there is none, or no mark."""
        mark = self._think
        if not (choice.thought and mark and mark.close):
            return ""
        cut = choice.finish != "stop" and not choice.text
        return mark.open + choice.thought + ("" if cut else mark.close)

    def _encoded(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _ids(self, choice: ServerChoice, before: str, stops: Sequence[str]) -> tuple[int, ...]:
        stop = self._stop_string(choice, stops) if choice.finish == "stop" else None
        ids = self._encoded(before + choice.text + (stop if stop and not self._keeps_stop else ""))
        ended = choice.finish == "stop" and stop is None
        return ids if not ended or self._end_ids & set(ids[-1:]) else (*ids, self._end_id)

    def _stop_string(self, choice: ServerChoice, stop: Sequence[str]) -> str | None:
        """The stop string that ended a continuation. None: an end token ended it."""
        if choice.tells_end or not stop:
            return choice.ended_by if isinstance(choice.ended_by, str) else None
        if self._keeps_stop:
            return next((s for s in stop if s in choice.text), None)
        raise UserError(
            f"The server stopped without saying whether a stop string {list(stop)} or the end of the solution stopped "
            "it, so steps cannot be told from ends. Search needs a server that says so (engine.server: vllm, sglang, "
            "transformers), or this process."
        )
