"""Answers that pick from a list: a letter, or yes and no."""

from __future__ import annotations

import re

_BARE = re.compile(r"\(?\s*([A-Ja-j])\s*\)?[.:]?")
_OPENING = re.compile(r"(?:\(([A-Ja-j])\)|([A-Ja-j])[).:](?=\s|$)|([A-J])\)).*", re.S)
_NAMED = re.compile(r"\b(?:answer|option|choice)\s*(?:is|:)?\s*\(?([A-J])\b(?!\s+[a-z])")
_BRACKETED = re.compile(r"\(([A-J])\)")
_GOLD = re.compile(r"\(\s*([A-Ja-j])\s*\)|([A-J])[.)]?")
_SAME = {"yes": "yes", "true": "yes", "no": "no", "false": "no"}


def picked_letter(text: str, *, is_gold: bool) -> str | None:
    """The letter A-J that a text picks, or None. Gold must be the letter alone; an answer may add the option's text.

    >>> picked_letter("(B) 150 m", is_gold=False), picked_letter("A bird", is_gold=False),
    ...     picked_letter("A or B", is_gold=False)
    ('B', None, None)
    """
    if is_gold:
        return _first(_GOLD.fullmatch(text))
    if letter := _first(_BARE.fullmatch(text)):
        return letter
    named = {m.upper() for pattern in (_NAMED, _BRACKETED) for m in pattern.findall(text)}
    if len(named) > 1:
        return None
    opening = _first(_OPENING.fullmatch(text))
    return opening if opening and named <= {opening} else next(iter(named), None)


def picked_word(text: str, *, is_gold: bool) -> str | None:
    """`yes` or `no`, also for true and false; None for anything else. An answer may go on after its first word."""
    found = re.findall(r"[a-z]+", text.lower())
    if is_gold:
        return _SAME.get(text.lower())
    said = {_SAME[w] for w in found if w in _SAME}
    if found and found[0] in _SAME:
        return _SAME[found[0]]
    return said.pop() if len(said) == 1 and "not" not in found else None


def _first(match: re.Match[str] | None) -> str | None:
    return next(g for g in match.groups() if g).upper() if match else None
