"""Families of the task `kinship`, and how relations compose. Relations are kinds without a gender: `parent`, `sibling`.

The table is our own. It holds a composition only where every family gives one answer: a grandparent's child may be a
parent or an uncle, so it is left out.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

COMPOSED: dict[str, dict[str, str]] = {
    "parent": {"parent": "grandparent", "sibling": "pibling", "child": "sibling", "spouse": "parent"},
    "child": {"child": "grandchild", "sibling": "child", "parent": "spouse", "spouse": "child_in_law"},
    "sibling": {"sibling": "sibling", "parent": "parent", "child": "nibling", "spouse": "sibling_in_law"},
    "spouse": {"parent": "parent_in_law", "child": "child", "sibling": "sibling_in_law"},
    "grandparent": {"spouse": "grandparent"},
    "grandchild": {"sibling": "grandchild"},
    "pibling": {"child": "cousin", "parent": "grandparent"},
    "nibling": {"sibling": "nibling"},
    "cousin": {"sibling": "cousin"},
    "parent_in_law": {"spouse": "parent_in_law"},
    "child_in_law": {"child": "grandchild", "spouse": "child"},
    "sibling_in_law": {"child": "nibling"},
}
"""`COMPOSED[a][b]`: what the b of somebody's a is to that person, if it is neither that person nor the a."""
SAID: dict[str, tuple[str, str]] = {
    "parent": ("mother", "father"),
    "child": ("daughter", "son"),
    "sibling": ("sister", "brother"),
    "spouse": ("wife", "husband"),
    "grandparent": ("grandmother", "grandfather"),
    "grandchild": ("granddaughter", "grandson"),
    "pibling": ("aunt", "uncle"),
    "nibling": ("niece", "nephew"),
    "cousin": ("cousin", "cousin"),
    "parent_in_law": ("mother-in-law", "father-in-law"),
    "child_in_law": ("daughter-in-law", "son-in-law"),
    "sibling_in_law": ("sister-in-law", "brother-in-law"),
}
"""Kind -> what it is called of a woman and of a man."""
GENERATIONS = 4


@dataclass(eq=False, slots=True)
class Person:
    """A member of a family."""

    male: bool
    parents: tuple[Person, ...] = ()
    children: list[Person] = field(default_factory=list)
    spouse: Person | None = None

    def related(self, kind: str) -> list[Person]:
        """The people that are the parent, child, sibling or spouse of this one."""
        if kind == "parent":
            return list(self.parents)
        if kind == "child":
            return self.children
        if kind == "spouse":
            return [self.spouse] if self.spouse else []
        return [child for child in self.parents[0].children if child is not self] if self.parents else []

    def called(self, kind: str) -> str:
        """What this person is called as somebody's relation of a kind."""
        return SAID[kind][self.male]


def family(rng: random.Random) -> list[Person]:
    """Four generations that descend from one couple. Most members marry somebody from outside, and couples have one to
    three children."""
    people: list[Person] = []
    generation = [Person(male=rng.random() < 0.5)]
    for depth in range(GENERATIONS):
        people += generation
        following: list[Person] = []
        for person in generation:
            if depth and rng.random() < 0.2:
                continue
            person.spouse = Person(male=not person.male, spouse=person)
            people.append(person.spouse)
            if depth + 1 < GENERATIONS:
                couple = (person, person.spouse)
                born = [Person(rng.random() < 0.5, couple) for _ in range(rng.randint(1, 3))]
                person.children, person.spouse.children = born, born
                following += born
        generation = following
    return people


def walk(people: list[Person], length: int, rng: random.Random) -> tuple[list[Person], list[str], list[str]] | None:
    """A way through a family that visits nobody twice: its people, the kind of every step, and what each person after
    the first is to the first. None if this attempt ends early."""
    path, steps, kinds = [rng.choice(people)], list[str](), list[str]()
    for _ in range(length):
        known = COMPOSED[kinds[-1]] if kinds else {kind: kind for kind in ("parent", "child", "sibling", "spouse")}
        ways = [(kind, to) for kind in known for to in path[-1].related(kind) if to not in path]
        if not ways:
            return None
        step, to = rng.choice(ways)
        path.append(to)
        steps.append(step)
        kinds.append(known[step])
    return path, steps, kinds
