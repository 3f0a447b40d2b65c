"""What published models say of the problems that they learned from: in their cards, which travel with them to other
folders and to the Hub. A recipe that names such a folder reads it, so that nothing is hidden by publishing it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from data_gen.errors import UserError
from data_gen.models.elsewhere import base_of_adapter, is_adapter, whole_model
from reasoning_train.api.problem_set import ProblemSet
from reasoning_train.store.state_files import Shape

CARD = "README.md"
MODELS = ("model", "verifier")
"""Kinds of outputs that learn."""
FIELD = "reasoning_train"
"""The field of a card's front matter that other programs leave alone."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a model learned from."""

    lessons: tuple[ProblemSet, ...] = ()
    notes: tuple[str, ...] = ()
    """What it learned from evaluated problems, and why that was allowed."""


class _Lesson(Shape):
    source: str
    split: str
    dealt: str
    named: str
    parts: list[tuple[int, int, int]]


class _Said(Shape):
    learned_from: list[_Lesson]
    notes: list[str]


def said_on_card(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The front matter of the card of a model or a verifier that `provenance_of` reads."""
    return {FIELD: {"learned_from": manifest.get("lessons", []), "notes": manifest.get("notes", [])}}


def provenance_of(folder: Path) -> Provenance:
    """What the cards of a folder with a model, and of the models under its adapters, say. UserError if what they say
    cannot be read; cards of others say nothing."""
    found = [_told(card) for card in _cards(folder)]
    lessons = [rows for one in found for rows in one.lessons]
    notes = [note for one in found for note in one.notes]
    return Provenance(tuple(dict.fromkeys(lessons)), tuple(dict.fromkeys(notes)))


def _cards(folder: Path) -> Iterator[Path]:
    yield folder / CARD
    with contextlib.suppress(UserError):  # a base that is gone or damaged is told where the model is loaded
        whole_model(folder)
        while is_adapter(folder):
            folder = base_of_adapter(folder)
            yield folder / CARD


def _told(card: Path) -> Provenance:
    front = front_matter(card)
    if FIELD not in front:
        if f"\n{FIELD}:" in _front(card):
            raise _damaged(card, "its front matter is no YAML")
        return Provenance()
    try:
        said = _Said.model_validate(front[FIELD], strict=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise _damaged(card, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return Provenance(tuple(ProblemSet.from_json(one.model_dump()) for one in said.learned_from), tuple(said.notes))


def _damaged(card: Path, why: str) -> UserError:
    return UserError(
        f"{card} is damaged: what it says of the problems that the model learned from cannot be read ({why}). Bring a "
        "whole copy."
    )


def front_matter(card: Path) -> dict[str, Any]:
    """The front matter of a card; empty if there is none, or none that can be read."""
    with contextlib.suppress(ValueError, yaml.YAMLError, RecursionError):
        front = yaml.safe_load(_front(card))
        return front if isinstance(front, dict) else {}
    return {}


def _front(card: Path) -> str:
    """The front matter as text, after the line break of its mark; empty if there is none."""
    with contextlib.suppress(OSError):
        with card.open(encoding="utf-8", errors="replace") as stream:
            text = stream.read(1 << 20)
        return text[3:].partition("\n---\n")[0] if text.startswith("---\n") else ""
    return ""
