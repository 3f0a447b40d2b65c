"""Reads sentences about kinds and names (`Each cat is a mammal`, `Max is not sour`), and says what follows from them.

These are the sentences of PrOntoQA (arXiv 2210.01240): facts about a name, and rules that lead from one kind to a kind
or a property. The only rule of deduction is modus ponens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_PARTS = re.compile(
    r"[.;!\n]|,?\s*\b(?:so|therefore|thus|hence|and|because|since|then|which means(?: that)?)\b,?", re.I
)
_SENTENCE = re.compile(
    r"(?P<every>(?:each|every|all|an?)\s+)?(?P<subject>\w[\w' -]*?)\s+(?P<verb>is|are)\s+(?P<no>not\s+)?(?:an?\s+)?"
    r"(?P<property>\w[\w' -]*)",
    re.I,
)
_SPACES = re.compile(r"[^\S\n]+")
_LONGEST = 200
"""Most characters of a sentence that is read."""


class Claim(NamedTuple):
    """`Max is not sour`: Claim("max", "sour", holds=False, rule=False). `Cats are mammals` is a rule."""

    subject: str
    property: str
    holds: bool
    rule: bool


def read_claims(text: str) -> Iterator[Claim]:
    """The facts and rules of a text, in order. What is neither is left out.

    >>> [claim.subject for claim in read_claims("Max is a cat, and each cat is a mammal. So Max is a mammal. Hm!")]
    ['max', 'cat', 'max']
    """
    for part in _PARTS.split(_SPACES.sub(" ", text)):
        found = _SENTENCE.fullmatch(part.strip(" ,:")) if len(part) <= _LONGEST else None
        if found is not None:
            rule = bool(found["every"]) or found["verb"].lower() == "are"
            yield Claim(_kind(found["subject"]), _kind(found["property"]), found["no"] is None, rule)


def follows_at_once(claim: Claim, known: set[Claim]) -> bool:
    """Whether a fact is known, or follows from a known fact and a known rule."""
    return claim in known or claim in _next(known)


def follows(claim: Claim, known: set[Claim]) -> bool:
    """Whether a fact is known, or follows from what is known in any number of steps."""
    reached = set(known)
    while claim not in reached:
        more = _next(reached) - reached
        if not more:
            return False
        reached |= more
    return True


def _next(known: set[Claim]) -> set[Claim]:
    """The facts that one step of modus ponens gives."""
    rules: dict[str, list[Claim]] = {}
    for rule in known:
        if rule.rule:
            rules.setdefault(rule.subject, []).append(rule)
    facts = [fact for fact in known if fact.holds and not fact.rule]
    return {
        Claim(fact.subject, rule.property, rule.holds, rule=False)
        for fact in facts
        for rule in rules.get(fact.property, ())
    }


def _kind(words: str) -> str:
    """A kind in the singular, in lower case: both `dumpuses` and `dumpus` are `dumpus`."""
    words = " ".join(words.lower().split())
    for ending, singular in (("uses", "us"), ("ies", "y"), ("ss", "ss"), ("us", "us"), ("s", "")):
        if words.endswith(ending):
            return words.removesuffix(ending) + singular
    return words
