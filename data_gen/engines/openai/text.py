"""Conversion between token ids and text for a server: the text to send for a prefix, and the ids of a returned
continuation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from data_gen.engines.base import Sample, Sampling
from data_gen.engines.openai.choices import ServerChoice
from data_gen.errors import UserError


@dataclass(frozen=True, slots=True)
class Spelling:
    """The text of a prefix, and whether the server's tokenizer makes the same ids of it: `Spelling("Ana has 12",
    True)`."""

    text: str
    exact: bool


class TextBridge:
    """Converts ids to text and back with the policy's `tokenizer`. `end_id` ends a solution. `keeps_stop`: see
    ServerTraits."""

    def __init__(self, tokenizer: Any, end_id: int, *, keeps_stop: bool) -> None:
        self._tokenizer, self._end_id, self._keeps_stop = tokenizer, end_id, keeps_stop

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
        if not self._tokenizer(text, add_special_tokens=False)["input_ids"] == list(ids):
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
        ids = choice.ids if choice.ids is not None else self._ids(choice, sampling.stop)
        found = [value for value in choice.logprobs if value is not None]
        return Sample(token_ids=ids, logprobs=tuple(found) if len(found) == len(ids) else (), finish=finish)

    def _ids(self, choice: ServerChoice, stops: Sequence[str]) -> tuple[int, ...]:
        stop = self._stop_string(choice, stops) if choice.finish == "stop" else None
        text = choice.text + (stop if stop and not self._keeps_stop else "")
        ids = tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])
        ended = choice.finish == "stop" and stop is None
        return (*ids, self._end_id) if ended and ids[-1:] != (self._end_id,) else ids

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
