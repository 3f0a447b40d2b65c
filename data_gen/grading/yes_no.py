"""Answers that say yes or no, true or false."""

from __future__ import annotations

import re

from data_gen.grading.phrasing import conclusions, explanations_removed, flat, goes_on, openings, takes_back

_SAME = {"yes": "yes", "yeah": "yes", "yep": "yes", "true": "yes", "no": "no", "nope": "no", "false": "no"}
_SUBJECTS = frozenset(("statement", "claim", "sentence", "assertion", "proposition", "hypothesis", "he", "she", "they"))
"""Further words that may stand in front of yes or no."""
_SAID = re.compile(rf"[(\[]?({'|'.join(_SAME)})\b(?!['-]\w|/)[)\]]?", re.I)
_OPPOSED = re.compile(
    rf"(?<![\w'-])(?:(?:not|isn't|wasn't|aren't)\s+(?:really\s+)?)?({'|'.join(_SAME)})(?![\w'-])", re.I
)
_GOES_ON = re.compile(
    r"\s+(?:it|he|she|they|we|you|i|this|that|these|those|there|the|an?|because|since|as|due|its|his|her|their)\b", re.I
)
"""What may follow `no` in an answer. Before other words, as in `no solution`, it is a determiner."""
_CONDITION = re.compile(r"\s*(?:unless|except|if|only|when|depending)\b", re.I)
_DETERMINER = re.compile(r"\s+[a-z]")


def said(text: str) -> str | None:
    """`yes` or `no`, also for true and false. None for anything else, and for an answer that hedges or says both.

    >>> [said(t) for t in ("Yes, he can", "no solution", "It is false.", "I can't say yes", "no, wait, yes")]
    ['yes', None, 'no', None, None]
    """
    text = flat(text)
    if (found := _read(text)) is not None:
        return found
    for before, conclusion in conclusions(text):
        if (found := _read(conclusion)) is not None and not takes_back(before) and not _others(before, found):
            return found
    return None


def alone(text: str) -> str | None:
    """`yes` or `no` for a text without an explanation, in any phrasing.

    >>> alone("The answer is: TRUE."), alone("Yes, he can")
    ('yes', None)
    """
    return _read(flat(text), explained=False)


def _read(text: str, explained: bool = True) -> str | None:
    for at in openings(text, _SUBJECTS):
        match = _SAID.match(text, at)
        found = match and _ended(match[1].lower(), text[match.end() :], explained)
        if found:
            return found
    return None


def _ended(word: str, rest: str, explained: bool) -> str | None:
    """What a word says that stands in front of `rest`. None if it belongs to something else."""
    runs_on = word in ("yes", "yeah", "yep") or (word in ("no", "nope") and _GOES_ON.match(rest) is not None)
    tail = goes_on(rest, marked=runs_on)
    if tail == "":
        return _SAME[word]
    if not explained or tail is None or _CONDITION.match(tail) or takes_back(tail) or _others(tail, _SAME[word]):
        return None
    return _SAME[word]


def _others(tail: str, found: str) -> bool:
    """Whether a text also says the opposite. `no` before a noun, and what is negated (`is not true`), say nothing."""
    own = explanations_removed(tail)
    for match in _OPPOSED.finditer(own):
        negated = match[0].lower() != match[1].lower()
        behind = own[match.end() :]
        determiner = match[1].lower() == "no" and _DETERMINER.match(behind) and not _GOES_ON.match(behind)
        if not negated and not determiner and _SAME[match[1].lower()] != found:
            return True
    return False
