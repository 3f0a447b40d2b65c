"""What may follow a number besides a unit: things that are counted, and phrases that leave the value as it is."""

from __future__ import annotations

import re
from typing import NamedTuple

from data_gen.grading.number_words import NUMBER_WORDS
from data_gen.grading.vocabulary import NOT_THINGS

_IRREGULAR = {
    "people": "person", "children": "child", "men": "man", "women": "woman", "feet": "foot", "mice": "mouse",
    "geese": "goose", "teeth": "tooth", "dice": "die", "sheep": "sheep", "fish": "fish", "deer": "deer",
    "cattle": "cattle", "leaves": "leaf", "loaves": "loaf", "knives": "knife", "wives": "wife", "shelves": "shelf",
    "vertices": "vertex", "policemen": "policeman", "series": "series", "species": "species", "oxen": "ox",
    "matrices": "matrix", "axes": "axis", "lives": "life", "wolves": "wolf", "calves": "calf", "halves": "half",
}  # fmt: skip
_CLOSED = NOT_THINGS | NUMBER_WORDS
_NEUTRAL = re.compile(
    r"(?:^|\s+)(?:in total|in all|altogether|total|overall|each|apiece|left|remaining|left over|old|of age|long|tall"
    r"|high|wide|deep|thick|away|every time)$",
    re.I,
)
"""Ends that leave the value what it is."""
_RATE = re.compile(r"(?:^|\s*)(?:/|\b(?:per|a|an|each|every|for each|for every)\s+)\s*([A-Za-z]+)$", re.I)
_OF = re.compile(r"(.+?)\s+of\s+(?:(?:the|his|her|their|its|all)\s+)*([A-Za-z' -]+)$")
_WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)?")
_MOST_WORDS = 4


class Noun(NamedTuple):
    """Counted things: `12 red tennis balls per box`."""

    words: tuple[str, ...] = ()
    """The last one in the singular."""
    per: str = ""

    def contradicts(self, other: Noun) -> bool:
        """Whether both name things, and different ones. `red apples` are `apples`, but not `green apples`."""
        if self.per and other.per and self.per != other.per:
            return True
        if not self.words or not other.words:
            return False
        mine, theirs = set(self.words), set(other.words)
        return self.words[-1] != other.words[-1] or not (mine <= theirs or theirs <= mine)


NOTHING = Noun()


def without_neutral_end(text: str) -> str:
    """The text without an end such as `in total`."""
    return _NEUTRAL.sub("", text).strip()


def rate(text: str) -> tuple[str, str]:
    """A text and what it is counted per: (`eggs`, `day`) for `eggs per day`."""
    match = _RATE.search(text)
    if match is None or match[1].lower() in _CLOSED or (len(match[1]) < 2 and match[1] not in "hsL"):
        return text, ""
    return text[: match.start()].strip(), singular(match[1].lower())


def of_phrase(text: str) -> tuple[str, tuple[str, ...]] | None:
    """(`cups`, (`flour`,)) for `cups of flour`. None if no thing stands behind `of`."""
    match = _OF.fullmatch(text)
    things = noun_words(match[2], plural=False) if match else None
    return (match[1], things) if match and things else None


def noun_words(text: str, *, plural: bool) -> tuple[str, ...] | None:
    """The words of a thing, the last in the singular. None for words that are no thing.

    Args:
        text: A few words.
        plural: The last word must be a plural, as it must be behind any number but 1 and fractions.

    >>> noun_words("red apples", plural=True), noun_words("less", plural=True), noun_words("people", plural=True)
    (('red', 'apple'), None, ('person',))
    """
    words = [word.lower() for word in text.split()]
    if not 0 < len(words) <= _MOST_WORDS or not all(_WORD.fullmatch(word) and len(word) > 1 for word in words):
        return None
    if words == ["times"]:
        return ("time",)
    if _CLOSED & set(words) or (plural and not _is_plural(words[-1])):
        return None
    return (*words[:-1], singular(words[-1]))


def singular(word: str) -> str:
    """`boxes` -> `box`, `people` -> `person`; `cookies` and `cookie` -> `cooky`, since `ies` does not tell."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if re.search(r"(?:ss|us|is)$", word):
        return word
    if re.search(r"[a-z]{2}ies?$", word):
        return re.sub(r"ies?$", "y", word)
    return re.sub(r"(?<=ch)es$|(?<=sh)es$|(?<=x)es$|(?<=ss)es$|(?<=zz)es$|s$", "", word)


def _is_plural(word: str) -> bool:
    return word in _IRREGULAR or (word.endswith("s") and not re.search(r"(?:ss|us|is)$", word))
