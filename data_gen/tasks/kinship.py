"""`kinship`: what somebody is to somebody else, over a chain of relations (after CLUTRR, arXiv 1908.06177).

    Ben is the brother of Ana. Eve is the daughter of Ben. Hal is the brother of Eve. What is Hal to Ana?
    Eve is the niece of Ana
    Hal is the nephew of Ana
    Answer: nephew

Families are drawn whole and relations read off them, so that every story is possible. Training has short chains; the
test has longer ones, and patterns of relations that no other split has (tag `pattern`: seen, held out, longer).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field, model_validator

from data_gen.graders.text import Text
from data_gen.records.problem import Problem
from data_gen.tasks import TASKS
from data_gen.tasks.beside import AnyGrader
from data_gen.tasks.families import SAID, Person, family, walk
from data_gen.tasks.generated import MOST_DRAWS, DrawnProblem, Generated, check_range, line_by_line

WOMEN = (
    "Ana",
    "Bea",
    "Cleo",
    "Dot",
    "Eve",
    "Flo",
    "Gia",
    "Ida",
    "Joy",
    "Kim",
    "Lea",
    "Mia",
    "Nan",
    "Pia",
    "Sue",
    "Uma",
)
MEN = ("Abe", "Ben", "Cal", "Dan", "Eli", "Gus", "Hal", "Ian", "Jim", "Ken", "Leo", "Max", "Ned", "Per", "Sam", "Tom")
LONGEST = 8


@TASKS.register("kinship")
class Kinship(Generated):
    """Chains of relations in families. Difficulty is the number of relations."""

    version: ClassVar[int] = 1

    grader: AnyGrader = Text()
    relations: tuple[int, int] = (2, 3)
    """Fewest and most relations of a story in all splits but `test`."""
    test_relations: tuple[int, int] = (2, 6)
    """Fewest and most relations in `test`."""
    held_out: float = Field(0.2, ge=0, lt=1)
    """Share of the patterns of relations, such as (sibling, child), that `test` alone has."""
    extra: int = Field(0, ge=0, le=6)
    """Further facts of a story that do not matter."""
    shuffle: bool = False
    """Whether the facts stand in random order."""

    @model_validator(mode="after")
    def _sensible(self) -> Kinship:
        check_range("relations", self.relations, 2, LONGEST)
        check_range("test_relations", self.test_relations, 2, LONGEST)
        return self

    def draw(self, rng: random.Random, split: str) -> DrawnProblem:
        """A family, a way through it that the split may have, and its story."""
        length = rng.randint(*(self.test_relations if split == "test" else self.relations))
        for _ in range(MOST_DRAWS):
            people = family(rng)
            found = walk(people, length, rng)
            if found and (split == "test" or not self.is_held_out(found[1])):
                return self._told(people, *found, rng)
        raise self.impossible(split)

    def is_held_out(self, pattern: Sequence[str]) -> bool:
        """Whether `test` alone may have a pattern of relations."""
        digest = hashlib.blake2b(f"{self.seed} {' '.join(pattern)}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64 < self.held_out

    def check_steps(self, problem: Problem, steps: Sequence[str]) -> tuple[bool, ...]:
        """A step is right iff it equals the gold step at its index: what the next person is to the first."""
        return line_by_line(problem.gold_steps, steps)

    def vocabulary(self) -> list[str]:
        """All names, words and marks that problems and solutions consist of."""
        said = [word for pair in SAID.values() for called in pair for word in called.split("-")]
        return [*WOMEN, *MEN, *dict.fromkeys(said), *("is", "the", "of", "What", "to", "Answer"), *"-.?:"]

    def _told(
        self, people: list[Person], path: list[Person], steps: list[str], kinds: list[str], rng: random.Random
    ) -> DrawnProblem:
        asides = self._asides(people, path, rng)
        facts = [(path[i + 1], step, path[i]) for i, step in enumerate(steps)] + asides
        if self.shuffle:
            rng.shuffle(facts)
        names = _named([*path, *(person for one, _, other in asides for person in (one, other))], rng)
        first, last = path[0], path[-1]
        lines = [f"{names[one]} is the {one.called(kind)} of {names[other]}." for one, kind, other in facts]
        return DrawnProblem(
            question=" ".join([*lines, f"What is {names[last]} to {names[first]}?"]),
            gold=last.called(kinds[-1]),
            steps=tuple(
                f"{names[one]} is the {one.called(kind)} of {names[first]}"
                for one, kind in zip(path[2:], kinds[1:], strict=True)
            ),
            difficulty=float(len(steps)),
            tags={"relations": str(len(steps)), "pattern": self._pattern(steps)},
        )

    def _pattern(self, steps: Sequence[str]) -> str:
        if not self.relations[0] <= len(steps) <= self.relations[1]:
            return "longer" if len(steps) > self.relations[1] else "shorter"
        return "held out" if self.is_held_out(steps) else "seen"

    def _asides(self, people: list[Person], path: list[Person], rng: random.Random) -> list[tuple[Person, str, Person]]:
        """Facts that lead from somebody of the path, or of another such fact, to somebody new."""
        known, found = list(path), list[tuple[Person, str, Person]]()
        for _ in range(self.extra):
            ways = [
                (to, kind, one)
                for one in known
                for kind in ("parent", "child", "sibling", "spouse")
                for to in one.related(kind)
                if to not in known
            ]
            if not ways:
                break
            found.append(rng.choice(ways))
            known.append(found[-1][0])
        return found


def _named(people: list[Person], rng: random.Random) -> dict[Person, str]:
    """A name of their own for all."""
    left = {False: rng.sample(WOMEN, len(WOMEN)), True: rng.sample(MEN, len(MEN))}
    names: dict[Person, str] = {}
    for person in people:
        if person not in names:
            names[person] = left[person.male].pop()
    return names
