"""`chain`: multi-step word-and-number problems with gold steps, an exact step checker and a difficulty dial.

    Ana has 37 coins. Ben has 8 more than Ana. Cy has 5 fewer than Ben. How many has Cy?
    37 + 8 = 45
    45 - 5 = 40
    Answer: 40

Every number stays within [0, 99], so a guess is right about once in a hundred. `data_gen/tasks/generated.py` keeps its
splits apart.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import ClassVar

from pydantic import model_validator

from data_gen.graders.integer import Integer
from data_gen.records.problem import Problem
from data_gen.tasks import TASKS
from data_gen.tasks.beside import AnyGrader
from data_gen.tasks.generated import DrawnProblem, Generated, check_range, line_by_line

NAMES = ("Ana", "Ben", "Cy", "Dot", "Eli", "Flo", "Gus", "Hal", "Ivy", "Jo", "Kit", "Lou")
WORDS = ("has", "coins", "more", "fewer", "than", "How", "many", "Answer")
TOP = 99
"""Largest number in any problem."""


@TASKS.register("chain")
class Chain(Generated):
    """Chains of additions and subtractions over named people. Difficulty is the number of steps."""

    version: ClassVar[int] = 1

    grader: AnyGrader = Integer()
    """Plain integers. The symbolic checker would take long to reject an answer such as `4 = 45`."""
    steps: tuple[int, int] = (1, 4)
    """Fewest and most steps: this sets the difficulty."""
    operand: tuple[int, int] = (1, 6)
    """Smallest and largest number added or subtracted."""

    @model_validator(mode="after")
    def _sensible(self) -> Chain:
        check_range("steps", self.steps, 1, len(NAMES) - 1)
        check_range("operand", self.operand, 1, TOP // 2)
        return self

    def check_steps(self, problem: Problem, steps: Sequence[str]) -> tuple[bool, ...]:
        """A step is right iff it equals the gold step at its index: the number so far, the next fact, and their
        result."""
        return line_by_line(problem.gold_steps, steps)

    def vocabulary(self) -> list[str]:
        """All words, digits and marks that problems and solutions consist of."""
        return [*NAMES, *WORDS, *"0123456789", *"+-=.?:"]

    def draw(self, rng: random.Random, split: str) -> DrawnProblem:
        """Facts about people in a row, each told by the one before."""
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
        question = " ".join([*facts, f"How many has {names[-1]}?"])
        return DrawnProblem(question, str(value), tuple(steps), float(len(steps)), {"steps": str(len(steps))})
