"""Reads completions: the `choices` and the `usage` of an answer, whichever endpoint and server it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data_gen.engines.http_answers import Malformed


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One continuation as the server tells it, e.g. `Choice(text=" 12", finish="stop", ids=(220, 717), logprobs=(-0.1, -0.3))`."""

    text: str
    finish: str
    """`stop`, `length`, or another reason why it was cut."""
    ids: tuple[int, ...] | None = None
    logprobs: tuple[float | None, ...] = ()
    ended_by: str | int | None = None
    """The stop string or the end token that ended it, where the server says."""
    tells_end: bool = False
    """The server says what ended it; `ended_by` None then means an end token."""


def read_choices(answer: Any) -> list[Choice]:
    """The choices in the order of their index. Malformed where there are none or one is torn."""
    choices = _get(answer, "choices", list)
    if not choices:
        raise Malformed("no choices")
    return [_choice(choice) for _, choice in sorted(enumerate(choices), key=lambda pair: _index(pair[1], pair[0]))]


@dataclass(frozen=True, slots=True)
class Spent:
    """What the server says that an answer took, in tokens; None where it does not say."""

    prompt: int | None = None
    generated: int | None = None
    cached: int = 0
    """Of the prompt's, those whose keys and values were still there."""


def read_usage(answer: Any) -> Spent:
    """The `usage` of an answer."""
    usage = answer.get("usage") if isinstance(answer, Mapping) else None
    if not isinstance(usage, Mapping):
        return Spent()
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else None
    return Spent(usage.get("prompt_tokens"), usage.get("completion_tokens"), cached or 0)


def _choice(choice: Any) -> Choice:
    if not isinstance(choice, Mapping):
        raise Malformed(f"a choice is a {type(choice).__name__}")
    finish = choice.get("finish_reason")
    if finish in (None, "abort", "error"):
        raise Malformed(f"finish_reason {finish!r}")
    text = _get(choice["message"], "content", (str, type(None))) if "message" in choice else _get(choice, "text", str)
    ids, names = choice.get("token_ids"), [name for name in ("stop_reason", "matched_stop") if name in choice]
    return Choice(
        text=text or "",
        finish=finish,
        ids=tuple(ids) if ids is not None else None,
        logprobs=_logprobs(choice.get("logprobs")),
        ended_by=choice[names[0]] if names else None,
        tells_end=bool(names),
    )


def _logprobs(found: Any) -> tuple[float | None, ...]:
    """Those of the sampled tokens: completions have `token_logprobs`, chats `content` with one entry per token."""
    if not isinstance(found, Mapping):
        return ()
    content = found.get("content")
    return tuple(token.get("logprob") for token in content) if content is not None else tuple(found.get("token_logprobs") or ())


def _index(choice: Any, place: int) -> int:
    return choice.get("index", place) if isinstance(choice, Mapping) else place


def _get(value: Any, name: str, kind: Any) -> Any:
    if not isinstance(value, Mapping) or not isinstance(value.get(name), kind):
        raise Malformed(f"no {name!r} where one is expected")
    return value[name]
