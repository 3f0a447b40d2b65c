"""The options of a row: their texts and labels, how a question shows them, and which of them is gold."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_gen.grading.choices import LETTERS, Options
from data_gen.sources.values import BadValue, shown, text_of

_LABEL = re.compile(r"\w{1,3}")
_MARK = re.compile(r"\s*(?:[(\[]\s*(\w{1,3})\s*[)\]][.:]?\s*|(\w{1,3})(?:\)\s*|[.:](?!\d)\s*))(?=\S)")


@dataclass(frozen=True)
class RowOptions:
    """The options of one row in order: `RowOptions(("bank", "bay"), own=("1", "2"))`. Questions letter them A, B, C,
    ... and gold is such a letter."""

    texts: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    """The row's own labels where they are not A, B, C, ... Answers may use them, too."""

    def shown(self, question: str) -> str:
        """The question followed by its options in order: `(A) bank`, `(B) bay`."""
        return "\n".join([question, *(f"({letter}) {text}" for letter, text in zip(LETTERS, self.texts, strict=False))])

    def gold(self, value: Any) -> str | None:
        """The letter of the gold option, which is given by its label, its text, its letter or its index from 0. Letters
        of several (`AD`) are joined by commas. None if it matches no option.

        >>> [RowOptions(("bank", "bay")).gold(value) for value in ("b", "(B) bay", "bay", 1, "AB", "C")]
        ['B', 'B', 'B', 'B', 'A, B', None]
        """
        said, letters = text_of(value), LETTERS[: len(self.texts)]
        if said in self.own:
            return letters[self.own.index(said)]
        if isinstance(value, int) and not isinstance(value, bool):
            return letters[value] if 0 <= value < len(letters) else None
        if said in self.texts:
            return letters[self.texts.index(said)]
        letter = dict(zip(self.own, letters, strict=False))
        picked = Options(self.own, self.texts).picked(said) if self.own else frozenset()
        return (
            ", ".join(sorted({letter[label] for label in picked} or Options(letters, self.texts).picked(said))) or None
        )


def read_options(value: Any) -> RowOptions:
    """The options of a row. Marks in front of the texts are removed, and are labels, only if all texts carry them in
    order: `["A) 3", "B) 4"]`, not `["A. Lincoln", "J. Adams"]`.

    Args:
        value: A list of texts, a list of `{label, text}` objects, one object with the lists `label` and `text`, or one
            of texts by label: `{"A": "bank", "B": "bay"}`.

    Raises:
        BadValue: Anything else, more than 26 options, or two options with one label.
    """
    if isinstance(value, Mapping):
        value = _paired(value)
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or len(value) > len(LETTERS):
        raise BadValue(f"expected a list of at most {len(LETTERS)} choices; found {shown(value)}")
    pairs = [_option(one, i) for i, one in enumerate(value)]
    texts, labels = tuple(text for _, text in pairs), tuple(label for label, _ in pairs if label is not None)
    marks = [_MARK.match(text) for text in texts]
    found = tuple((mark[1] or mark[2]) for mark in marks if mark)
    if texts and len(found) == len(texts) and _in_order(found, labels):
        labels = labels or found
        texts = tuple(text[mark.end() :] for text, mark in zip(texts, marks, strict=True) if mark)
    if labels and (len({label.casefold() for label in labels}) < len(texts) or "" in labels):
        raise BadValue(f"expected one label a choice; found {', '.join(map(repr, labels))}")
    return RowOptions(texts, () if _upper(labels) == LETTERS[: len(labels)] else labels)


def _paired(value: Mapping[str, Any]) -> list[dict[str, Any]]:
    if value and all(_LABEL.fullmatch(str(key)) for key in value):
        return [{"label": label, "text": text} for label, text in value.items()]
    labels, texts = value.get("label"), value.get("text")
    if not isinstance(labels, list) or not isinstance(texts, list) or len(labels) != len(texts):
        raise BadValue(
            "expected the lists `label` and `text` of one length, or texts by labels of at most three letters or "
            f"digits, such as A or 12; found {shown(value)}. A list of the texts, in order, also does"
        )
    return [{"label": label, "text": text} for label, text in zip(labels, texts, strict=True)]


def _option(one: Any, i: int) -> tuple[str | None, str]:
    """(label, text) of an option; the label is None where the row gives none."""
    try:
        if not isinstance(one, Mapping):
            return None, text_of(one)
        if not {"label", "text"} <= one.keys():
            raise BadValue(f"expected an object with `label` and `text`; found {shown(one)}")
        return text_of(one["label"]), text_of(one["text"])
    except BadValue as error:
        raise BadValue(f"choice {i}: {error}") from None


def _in_order(marks: tuple[str, ...], labels: tuple[str, ...]) -> bool:
    """Whether marks are the labels, or without labels A, B, C, ... or 1, 2, 3, ..."""
    letters, numbers = LETTERS[: len(marks)], tuple(str(i + 1) for i in range(len(marks)))
    return _upper(marks) in ((_upper(labels),) if labels else (letters, numbers))


def _upper(labels: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(label.upper() for label in labels)
