"""Reads completions: the `choices` and the `usage` of an answer, from any endpoint and server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any

from data_gen.engines.openai.http_answers import Malformed


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerChoice:
    """One continuation from the server, e.g. `ServerChoice(text=" 12", finish="stop", ids=(220, 717), logprobs=(-0.1,
    -0.3))`."""

    text: str
    thought: str = ""
    """The reasoning that the server gave apart from the text."""
    finish: str
    """`stop`, `length`, or another reason why it was cut."""
    ids: tuple[int, ...] | None = None
    logprobs: tuple[float | None, ...] = ()
    ended_by: str | int | None = None
    """The stop string or the end token that ended it, if the server reports it."""
    tells_end: bool = False
    """The server reports what ended it. `ended_by` None then means an end token."""


def read_choices(answer: Any) -> list[ServerChoice]:
    """The choices in the order of their index. Malformed if there are none or one is invalid."""
    choices = answer.get("choices") if isinstance(answer, Mapping) else None
    if not isinstance(choices, list) or not choices:
        raise Malformed("no choices")
    return [_choice(choice) for _, choice in sorted(enumerate(choices), key=lambda pair: _index(pair[1], pair[0]))]


@dataclass(frozen=True, slots=True)
class Spent:
    """Token counts of an answer as reported by the server. None if not reported."""

    prompt: int | None = None
    generated: int | None = None
    cached: int = 0
    """Number of prompt tokens with cached keys and values."""


def read_usage(answer: Any) -> Spent:
    """The `usage` of an answer."""
    usage = answer.get("usage") if isinstance(answer, Mapping) else None
    if not isinstance(usage, Mapping):
        return Spent()
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else None
    return Spent(_whole(usage.get("prompt_tokens")), _whole(usage.get("completion_tokens")), _whole(cached) or 0)


def _choice(choice: Any) -> ServerChoice:
    if not isinstance(choice, Mapping):
        raise Malformed(f"a choice is a {type(choice).__name__}")
    finish = choice.get("finish_reason")
    if not isinstance(finish, str) or finish in ("abort", "error"):
        raise Malformed(f"finish_reason {finish!r}")
    thought = _thought(choice)
    names = [name for name in ("stop_reason", "matched_stop") if name in choice]
    ended_by = choice[names[0]] if names else None
    if not isinstance(ended_by, (str, int, NoneType)):
        raise Malformed(f"{names[0]} is a {type(ended_by).__name__}")
    return ServerChoice(
        text=_text(choice, cut_in_thought=bool(thought) and finish == "length"),
        thought=thought,
        finish=finish,
        ids=_ids(choice.get("token_ids")),
        logprobs=_logprobs(choice.get("logprobs")),
        ended_by=ended_by,
        tells_end=bool(names),
    )


def _text(choice: Mapping[str, Any], *, cut_in_thought: bool) -> str:
    """The text. A chat whose limit ended its reasoning has none (null). Any other null is an error of the server, not
    an empty answer."""
    message = choice.get("message")
    text = message.get("content") if isinstance(message, Mapping) else choice.get("text")
    if text is None and cut_in_thought:
        return ""
    if not isinstance(text, str):
        why = f", it refuses: {message['refusal']}" if isinstance(message, Mapping) and message.get("refusal") else ""
        what = "null" if text is None else f"a {type(text).__name__}"
        raise Malformed(f"a choice without text: its content is {what}{why}")
    return text


def _thought(choice: Mapping[str, Any]) -> str:
    """The reasoning of a chat, as servers name it: `reasoning_content` (DeepSeek, vLLM, SGLang, llama.cpp) or
    `reasoning` (OpenRouter, later vLLM)."""
    message = choice.get("message")
    if not isinstance(message, Mapping):
        return ""
    found = next((message[name] for name in ("reasoning_content", "reasoning") if message.get(name)), "")
    if not isinstance(found, str):
        raise Malformed(f"the reasoning of a choice is a {type(found).__name__}")
    return found


def _ids(found: Any) -> tuple[int, ...] | None:
    if found is None:
        return None
    if not isinstance(found, list) or any(_whole(token, below=2**31) is None for token in found):
        raise Malformed("token_ids is not a list of numbers from 0 to 2^31")
    return tuple(found)


def _logprobs(found: Any) -> tuple[float | None, ...]:
    """Log-probabilities of the sampled tokens. Completions have `token_logprobs`, chats `content` with one entry per
    token."""
    if not isinstance(found, Mapping):
        return ()
    entries = found.get("content") if "content" in found else found.get("token_logprobs")
    values = (
        [entry.get("logprob") if isinstance(entry, Mapping) else entry for entry in entries]
        if isinstance(entries, list)
        else []
    )
    return tuple(_finite(value) if isinstance(value, (int, float)) else None for value in values)


def _finite(value: float) -> float:
    if not -1e9 < value < 1e9:
        raise Malformed("a log-probability is not a finite number")
    return float(value)


def _index(choice: Any, place: int) -> int:
    index = _whole(choice.get("index")) if isinstance(choice, Mapping) else None
    return place if index is None else index


def _whole(value: Any, below: int = 2**53) -> int | None:
    """A whole number from 0, None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < below else None
