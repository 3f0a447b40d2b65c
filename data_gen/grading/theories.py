"""Theories of facts and rules in plain English (ProofWriter, arXiv 2012.13048): what follows, and in how many steps.

An open world: a statement is true if it follows, false if its contrary does, and else unknown. `not` in a condition
wants the contrary to follow.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

_ANY = "?"
"""The subject or object of a rule for all things."""
_PRONOUNS = frozenset({"something", "someone", "it", "they", "things", "people"})
_ATOM = re.compile(
    r"(?P<subject>(?:the )?[\w ]+?) (?:(?:is|are) (?P<no>not )?(?P<property>\w+)"
    r"|(?P<never>(?:does|do) not )?(?P<verb>chase|eat|like|need|see|visit)s? (?P<object>(?:the )?[\w ]+))"
)
_LONGEST = 200
"""Most characters of a statement that is read."""
_ALL = re.compile(r"(?:all )?(?P<kinds>\w+(?:, \w+)*) (?:things|people) are (?P<then>(?:not )?\w+)")


class Atom(NamedTuple):
    """`The cat does not eat the mouse`: Atom("cat", "eat", "mouse", holds=False). `Bob is red`: Atom("bob", "is",
    "red", holds=True)."""

    subject: str
    verb: str
    object: str
    holds: bool

    def contrary(self) -> Atom:
        """What says the opposite."""
        return self._replace(holds=not self.holds)

    def of(self, thing: str) -> Atom:
        """The same, said of one thing."""
        subject, object_ = (thing if word == _ANY else word for word in (self.subject, self.object))
        return Atom(subject, self.verb, object_, self.holds)


@dataclass(frozen=True, slots=True)
class Rule:
    """If all conditions hold, so does the conclusion. A fact has no conditions."""

    conditions: tuple[Atom, ...]
    conclusion: Atom


def depth_of(theory: str, statement: str) -> int | None:
    """How many rules deep the shortest proof of a statement or of its contrary is; 0 for one that is stated, None for
    one that is unknown. ValueError for a sentence that is neither a fact nor a rule.

    >>> depth_of("Bob is red. Red people are cold. If someone is cold then they are not kind.", "Bob is kind.")
    2
    """
    wanted = _atom(_flat(statement))
    depths = _depths([_rule(sentence) for sentence in _sentences(theory)], {wanted.subject, wanted.object})
    found = [depths[atom] for atom in (wanted, wanted.contrary()) if atom in depths]
    return min(found, default=None)


def _depths(rules: list[Rule], more: Iterable[str]) -> dict[Atom, int]:
    """Every atom that follows, with the depth of its shortest proof."""
    atoms = [atom for rule in rules for atom in (*rule.conditions, rule.conclusion)]
    things = {atom.subject for atom in atoms} | {atom.object for atom in atoms if atom.verb != "is"} | set(more)
    ground = {
        (tuple(atom.of(thing) for atom in rule.conditions), rule.conclusion.of(thing))
        for rule in rules
        for thing in (things - {_ANY} if any(_ANY in atom for atom in (*rule.conditions, rule.conclusion)) else [""])
    }
    depths: dict[Atom, int] = {}
    depth = 0
    while True:
        new = {
            conclusion
            for conditions, conclusion in ground
            if conclusion not in depths and bool(conditions) == bool(depth) and all(one in depths for one in conditions)
        }
        if not new and depth:
            return depths
        depths |= dict.fromkeys(new, depth)
        depth += 1


def _sentences(text: str) -> Iterator[str]:
    return (_flat(part) for part in text.split(".") if part.strip())


def _flat(text: str) -> str:
    return " ".join(text.lower().split()).strip(" .")


def _rule(sentence: str) -> Rule:
    """A sentence as a rule."""
    if sentence.startswith("if "):
        conditions, _, conclusion = sentence[3:].partition(" then ")
        return Rule(tuple(_conditions(conditions)), _atom(conclusion))
    if found := _ALL.fullmatch(sentence):
        kinds = tuple(Atom(_ANY, "is", kind, holds=True) for kind in found["kinds"].split(", "))
        then = found["then"]
        return Rule(kinds, Atom(_ANY, "is", then.removeprefix("not "), holds=not then.startswith("not ")))
    return Rule((), _atom(sentence))


def _conditions(text: str) -> Iterator[Atom]:
    """The conditions of a rule: `someone is red and not cold`, `it eats the cat and it is red`."""
    subject = _ANY
    for part in text.split(" and "):
        words = part.removeprefix("not ")
        if " " not in words:  # a further property of the same thing
            yield Atom(subject, "is", words, holds=words == part)
            continue
        atom = _atom(part)
        subject = atom.subject
        yield atom


def _atom(text: str) -> Atom:
    """A statement. ValueError for a text that is none."""
    found = _ATOM.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        raise ValueError(f"not a statement: {text[:_LONGEST]!r}")
    if found["property"]:
        return Atom(_thing(found["subject"]), "is", found["property"], holds=found["no"] is None)
    return Atom(_thing(found["subject"]), found["verb"], _thing(found["object"]), holds=found["never"] is None)


def _thing(words: str) -> str:
    words = words.removeprefix("the ")
    return _ANY if words in _PRONOUNS else words
