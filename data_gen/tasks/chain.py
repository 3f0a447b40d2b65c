"""`chain`: multi-step word-and-number problems with gold steps, an exact step checker and a difficulty dial.

    Ana has 37 coins. Ben has 8 more than Ana. Cy has 5 fewer than Ben. How many has Cy?
    37 + 8 = 45
    45 - 5 = 40
    Answer: 40

Every number stays within [0, 99], so a guess is right about once in a hundred. Splits are disjoint by construction: a
hash of the question decides which split a problem belongs to, and a split's generator draws until the hash agrees.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterator, Sequence
from typing import ClassVar

from pydantic import Field, model_validator

from data_gen.engines.base import stream_seed
from data_gen.errors import UserError, nearest
from data_gen.graders.integer import Integer
from data_gen.records.problem import Problem
from data_gen.tasks import TASKS
from data_gen.tasks.base import Task
from data_gen.tasks.beside import AnyGrader

NAMES = ("Ana", "Ben", "Cy", "Dot", "Eli", "Flo", "Gus", "Hal", "Ivy", "Jo", "Kit", "Lou")
WORDS = ("has", "coins", "more", "fewer", "than", "How", "many", "Answer")
TOP = 99
"""Largest number in any problem."""
MOST = 100_000_000
"""More problems in a split are a slip of the pen."""
BUCKETS = {"test": range(20), "dev": range(20, 30), "explore": range(30, 50), "train": range(50, 100)}
"""Hash of the question modulo 100 -> split."""


@TASKS.register("chain")
class Chain(Task):
    """Chains of additions and subtractions over named people. Difficulty is the number of steps."""

    version: ClassVar[int] = 1
    templated: ClassVar[bool] = True

    grader: AnyGrader = Integer()
    """Plain integers. The symbolic checker would take long to reject an answer such as `4 = 45`."""
    seed: int = Field(0, ge=0)
    """Seed of the problems. It is independent of the recipe's seed, so all recipe seeds use the same test set."""
    train: int = Field(20_000, ge=0, le=MOST)
    """Problems with worked solutions to learn from."""
    explore: int = Field(2000, ge=0, le=MOST)
    """Problems to sample on. They are new ones, so that a policy cannot repeat what it was shown."""
    dev: int = Field(400, ge=0, le=MOST)
    test: int = Field(1000, ge=0, le=MOST)
    steps: tuple[int, int] = (1, 4)
    """Fewest and most steps: this sets the difficulty."""
    operand: tuple[int, int] = (1, 6)
    """Smallest and largest number added or subtracted."""

    @model_validator(mode="after")
    def _sensible(self) -> Chain:
        if not 1 <= self.steps[0] <= self.steps[1] < len(NAMES):
            raise ValueError(
                f"steps: expected [low, high] with 1 <= low <= high <= {len(NAMES) - 1}, got {list(self.steps)}"
            )
        if not 1 <= self.operand[0] <= self.operand[1] <= TOP // 2:
            raise ValueError(
                f"operand: expected [low, high] with 1 <= low <= high <= {TOP // 2}, got {list(self.operand)}"
            )
        return self

    @property
    def disjoint_splits(self) -> bool:
        """True: a hash of the question decides its split."""
        return True

    def splits(self) -> dict[str, int | None]:
        """The four splits with their sizes."""
        return {"train": self.train, "explore": self.explore, "dev": self.dev, "test": self.test}

    def problems(self, split: str) -> Iterator[Problem]:
        """Distinct problems of one split. Problem i has its own random stream."""
        sizes = self.splits()
        if split not in sizes:
            raise UserError(f"task.{split}: chain has no split {split!r}.{nearest(split, sizes)}")
        seen: set[int] = set()
        for i in range(sizes[split] or 0):
            rng = random.Random(stream_seed(self.seed, "chain", split, i))
            while True:
                facts, steps, last = self._draw(rng)
                digest = _digest(facts)
                if digest % 100 in BUCKETS[split] and digest not in seen:
                    break
            seen.add(digest)
            yield self._problem(f"chain/{split}/{i}", split, facts, steps, last)

    def check_steps(self, problem: Problem, steps: Sequence[str]) -> tuple[bool, ...]:
        """A step is right iff it equals the gold step at its index: the number so far, the next fact, and their
        result."""
        gold = problem.gold_steps
        right = tuple(i < len(gold) and step == gold[i] for i, step in enumerate(steps))
        # Missing steps count as wrong: an answer without them is no reasoning.
        return right + (False,) * (len(gold) - len(steps))

    def vocabulary(self) -> list[str]:
        """All words, digits and marks that problems and solutions consist of."""
        return [*NAMES, *WORDS, *"0123456789", *"+-=.?:"]

    def _draw(self, rng: random.Random) -> tuple[str, list[str], int]:
        names = rng.sample(NAMES, rng.randint(*self.steps) + 1)
        value = rng.randint(10, TOP)
        facts, steps = [f"{names[0]} has {value} coins."], []
        for before, name in itertools.pairwise(names):
            by = rng.randint(*self.operand)
            sign = rng.choice([s for s, result in (("+", value + by), ("-", value - by)) if 0 <= result <= TOP])
            after = value + by if sign == "+" else value - by
            facts.append(f"{name} has {by} {'more' if sign == '+' else 'fewer'} than {before}.")
            steps.append(f"{value} {sign} {by} = {after}")
            value = after
        return " ".join([*facts, f"How many has {names[-1]}?"]), steps, value

    def _problem(self, name: str, split: str, question: str, steps: list[str], last: int) -> Problem:
        return Problem(
            id=name,
            question=question,
            gold=str(last),
            group=question,
            split=split,
            gold_steps=tuple(steps),
            difficulty=float(len(steps)),
            tags={"steps": str(len(steps))},
        )


def _digest(question: str) -> int:
    return int.from_bytes(hashlib.blake2b(question.encode(), digest_size=8).digest(), "big")
