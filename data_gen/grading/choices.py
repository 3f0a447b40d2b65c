"""Answers that pick from a list of options, by label (`B`, `(b)`, `Option B`) or by the option's text."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from data_gen.grading.phrasing import (
    WORD,
    affirmation_removed,
    bare,
    conclusions,
    explanations_removed,
    flat,
    goes_on,
    openings,
    option_key,
    takes_back,
)

LETTERS = tuple(string.ascii_uppercase)
"""Labels of options that have none of their own."""
_JOINED = re.compile(r"\s*(?:,\s*(?:and\b|&)?|;|&|/|\+|\band\b|和|与|及)?\s*", re.I)
_NO = re.compile(r"[,.;!-]\s*(?:no|nope)\b(?!\s+\w)", re.I)
"""A correction behind a bare label: `B, no, C`. Behind a mark, `No` is an option's text."""
_IN_BRACKETS = re.compile(r"\s*[-:,]?\s*[(\[]([^()\[\]]*)[)\]]")
"""What stands in brackets behind a label: the text of its option, or that of another one."""
_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Options:
    """The options of a problem, as an answer may name them. Without texts, any of the labels may be meant.

    Options of one text are one option, which goes by its first label.
    """

    labels: tuple[str, ...] = LETTERS
    texts: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    """Further labels of the same options. They count where an answer is neither a label nor a text of an option."""

    def picked(self, answer: str) -> frozenset[str]:
        """The labels that an answer picks. Empty if it picks none, hedges, denies or contradicts itself.

        >>> picked = Options().picked
        >>> ["".join(picked(said)) for said in ("(b) 150 m", "It is option B.", "A bird", "A or B", "not (B)", "b?")]
        ['B', 'B', '', '', '', '']
        >>> picked("A, C and D") == {"A", "C", "D"}, Options(("1", "2"), ("bay", "bank")).picked("It's the bank.")
        (True, frozenset({'2'}))
        """
        text = flat(answer)
        if named := self._whole(text):
            return named
        for before, said in conclusions(text):
            named = self._whole(said)
            if named and not takes_back(before) and self._mentioned(before) <= named:
                return named
        if not self.others:
            return _NONE
        label = dict(zip(self.others, self.labels, strict=True))
        return frozenset(label[other] for other in Options(self.others, self.texts).picked(answer))

    def alone(self, text: str) -> frozenset[str]:
        """The labels of a text that consists of labels, in any phrasing, without an explanation.

        >>> [sorted(Options().alone(text)) for text in ("The answer is (b).", "A, D", "(B) 150 m", "A bird")]
        [['B'], ['A', 'D'], [], []]
        """
        return self._read(flat(text), explained=False)

    def _whole(self, text: str) -> frozenset[str]:
        return self._label(text) or self._by_text(text) or self._read(text)

    def _label(self, text: str) -> frozenset[str]:
        """The single label that a text consists of. It has precedence over an option with such a text."""
        found = self._read(text, explained=False)
        return found if len(found) == 1 else _NONE

    def _by_text(self, text: str) -> frozenset[str]:
        """The options of the text that an answer gives, after words such as `It is`."""
        known = _by_key(self.labels, self.texts)
        for at in openings(text) if known else ():
            said = text[at:]
            if label := known.get(bare(said)) or known.get(bare(affirmation_removed(said))):
                return frozenset([label])
        return _NONE

    def _read(self, text: str, explained: bool = True) -> frozenset[str]:
        """The labels behind words that may stand in front of a pick."""
        found = (pick for at in openings(text) for pick in self._at(text, at, explained))
        return next(found, _NONE)

    def _at(self, text: str, at: int, explained: bool) -> Iterator[frozenset[str]]:
        """The labels that begin at a place, if all that follows fits; the longest list of labels first."""
        glued = _glued(self.labels).match(text, at)
        if glued and len(set(glued[1])) == len(glued[1]):
            yield frozenset(_names(self.labels, self.texts)[letter.casefold()] for letter in glued[1])
        for found, marked, end in reversed(list(self._lists(text, at))):
            tail = goes_on(text[end:], marked=marked)
            if tail == "" or (explained and self._fits(found, text[end:], tail, marked)):
                yield found

    def _lists(self, text: str, at: int) -> Iterator[tuple[frozenset[str], bool, int]]:
        """Every list of labels that begins at a place: the labels, whether the last one is marked, and its end."""
        names, found, label = _names(self.labels, self.texts), list[str](), _label(self.labels)
        while (match := label.match(text, at)) is not None:
            found.append(names[(match["bracketed"] or match["bare"]).casefold()])
            if len(set(found)) < len(found):
                return
            yield frozenset(found), bool(match["bracketed"] or match["mark"]), match.end()
            joined = _JOINED.match(text, match.end())
            at = joined.end() if joined else match.end()

    def _fits(self, found: frozenset[str], rest: str, tail: str | None, marked: bool) -> bool:
        """Whether the text behind labels repeats the option or explains the pick, and takes nothing back."""
        known = _by_key(self.labels, self.texts)
        if (said := bare(rest)) in known:
            return known[said] in found
        beside = _IN_BRACKETS.match(rest)
        if beside and known.get(bare(beside[1]), min(found)) not in found:
            return False
        if tail is None or takes_back(tail) or (not marked and _NO.search(tail)) or not self._mentioned(tail) <= found:
            return False
        own = explanations_removed(tail)
        return self._named(_bare(self.labels, after_word=marked), own) <= found

    def _mentioned(self, text: str) -> frozenset[str]:
        """The labels that a text names in brackets, with a mark or as `option B`."""
        return self._named(_mention(self.labels), text)

    def _named(self, pattern: re.Pattern[str], text: str) -> frozenset[str]:
        names = _names(self.labels, self.texts)
        return frozenset(names[next(filter(None, match.groups())).casefold()] for match in pattern.finditer(text))


def _any(labels: tuple[str, ...]) -> str:
    return "|".join(re.escape(label) for label in sorted(labels, key=len, reverse=True))


@lru_cache(maxsize=1024)
def _label(labels: tuple[str, ...]) -> re.Pattern[str]:
    """A label in brackets, with a mark behind it, or bare."""
    one = _any(labels)
    return re.compile(
        rf"[(\[]\s*(?P<bracketed>{one})\s*[)\]][.:]?"
        rf"|(?P<bare>{one})(?:(?P<mark>\)[.:]?|[.:](?=[\s,;]|$))|(?!{WORD}|'\w|-\w|[.,]\d))",
        re.I,
    )


@lru_cache(maxsize=1024)
def _mention(labels: tuple[str, ...]) -> re.Pattern[str]:
    one = _any(labels)
    return re.compile(
        rf"(?<!{WORD})[(\[](?i:({one}))[)\]]|(?<!{WORD})(?<!\.)({one})[).:](?=[\s,;]|$)"
        rf"|\b(?i:option|choice|answer|letter)s?\s+(?:is\s+)?({one})(?!{WORD})"
    )


@lru_cache(maxsize=1024)
def _bare(labels: tuple[str, ...], after_word: bool) -> re.Pattern[str]:
    """A bare label; `A` and `I` before a word are none. `after_word`: only behind `and`, `or`, `not` and the like."""
    before = r"(?i:^\s*[,;/&+]|\b(?:and|or|no|not|nor|also|than)\b,?|/)\s*" if after_word else rf"(?<!{WORD})(?<!')"
    return re.compile(rf"{before}({_any(labels)})(?!{WORD})(?!['-])(?!(?<=[AI])\s+[a-z])")


@lru_cache(maxsize=1024)
def _glued(labels: tuple[str, ...]) -> re.Pattern[str]:
    """Several labels without a space, to the end of the text: `AD`."""
    letters = "".join(label for label in labels if len(label) == 1 and label.isalpha())
    one = f"[{letters}]" if letters else "(?!)"
    return re.compile(rf"({one}{{2,}})[.!)\s]*$")


@lru_cache(maxsize=1024)
def _by_key(labels: tuple[str, ...], texts: tuple[str, ...]) -> dict[str, str]:
    """The first label of every text of an option."""
    known: dict[str, str] = {}
    for label, text in zip(labels, texts, strict=False):
        known.setdefault(option_key(text), label)
    return known


@lru_cache(maxsize=1024)
def _names(labels: tuple[str, ...], texts: tuple[str, ...]) -> dict[str, str]:
    """The first label of the option that a label names."""
    first = {label: _by_key(labels, texts)[option_key(text)] for label, text in zip(labels, texts, strict=False)}
    return {label.casefold(): first.get(label, label) for label in labels}
