"""Answers that pick from a list: letters of options, or yes and no."""

from __future__ import annotations

import re

from data_gen.grading.clean import after_lead_in

_LETTERS = re.compile(r"(?:\(?([A-Z])\)?[.:]?(?:\s*(?:,|;|&|and)\s*|\s*)(?![a-z]))+")
_BARE = re.compile(r"\(?\s*([A-Za-z])\s*\)?[.:]?")
_OPENING = re.compile(r"(?:\(([A-Za-z])\)|([A-Za-z])[).:](?=\s|$)|([A-Z])\)).*", re.S)
_OPTION = re.compile(r"\(([A-Z])\)|(?<![\w(])([A-Z])[).:](?=\s|$)")
_NAMED = re.compile(r"\b(?:[Aa]nswer|[Oo]ption|[Cc]hoice)\s*(?:is|:)?\s*\(?([A-Z])\b(?!\s+[a-z])")
_BRACKETED = re.compile(r"\(([A-Z])\)")
_NEGATION = re.compile(r"\b(?:not|except|neither|nor|cannot|never|or)\b|n't\b", re.I)
_AUTO = re.compile(r"\(\s*[A-Ja-j]\s*\)|[A-J][.)]?")
_SAME = {"yes": "yes", "true": "yes", "no": "no", "false": "no"}
_GOES_ON = re.compile(r"(?:it|he|she|they|we|you|i|this|that|these|those|there|the|an?|because|since|as)\b")
"""Words that may follow `no` in an answer. Before other words, as in `no solution`, it is a determiner."""


def gold_letters(text: str) -> frozenset[str]:
    """The letters of a reference answer that consists only of letters. Empty for anything else.

    >>> sorted(gold_letters("(B)")), sorted(gold_letters("A, D")), sorted(gold_letters("ACD")), gold_letters("A bird")
    (['B'], ['A', 'D'], ['A', 'C', 'D'], frozenset())
    """
    bare = _BARE.fullmatch(text)
    if bare:
        return frozenset(bare[1].upper())
    return frozenset(re.findall(r"[A-Z]", text)) if _LETTERS.fullmatch(text) else frozenset()


def picked_letters(text: str) -> frozenset[str]:
    """The letters that an answer picks. Empty if unclear. The option's text may follow a single letter.

    >>> ["".join(picked_letters(text)) for text in ("(B) 150 m", "A bird", "A or B", "not (B)")]
    ['B', '', '', '']
    """
    text = after_lead_in(text)
    if letters := gold_letters(text):
        return letters
    options = {a or b for a, b in _OPTION.findall(text)}
    opening = _first(_OPENING.fullmatch(text))
    if opening:
        return frozenset({opening}) if options <= {opening} else frozenset()
    named = {*_NAMED.findall(text), *_BRACKETED.findall(text)}
    return frozenset(named) if len(named) == 1 and not _NEGATION.search(text) else frozenset()


def picked_letter(text: str, *, is_gold: bool) -> str | None:
    """The one letter that a text picks, or None. Gold must be a single letter A-J: others are variable names."""
    if is_gold and not _AUTO.fullmatch(text):
        return None
    picked = gold_letters(text) if is_gold else picked_letters(text)
    return next(iter(picked)) if len(picked) == 1 else None


def picked_word(text: str, *, is_gold: bool) -> str | None:
    """`yes` or `no`, also for true and false. None for anything else, and for an answer that says both.

    >>> [picked_word(t, is_gold=False) for t in ("Yes, he can", "no solution", "It is false", "I can't say yes")]
    ['yes', None, 'no', None]
    """
    if is_gold:
        return _SAME.get(text.lower())
    text = after_lead_in(text).lower()
    found = re.findall(r"[a-z']+", text)
    said = {_SAME[w] for w in found if w in _SAME}
    if len(said) != 1:
        return None
    if found[0] in _SAME:
        determiner = found[0] == "no" and re.match(r"no\s+[a-z]", text.lstrip(" \"'(")) and not _GOES_ON.match(found[1])
        return None if determiner else said.pop()
    return said.pop() if found[-1] in _SAME and not _NEGATION.search(text) else None


def _first(match: re.Match[str] | None) -> str | None:
    return next(g for g in match.groups() if g).upper() if match else None
