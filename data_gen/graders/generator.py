"""`generator`: the scorer of the reasoning-gym generator that made the problem."""

from __future__ import annotations

import json
from collections.abc import Hashable
from typing import ClassVar, Literal

from data_gen.graders import GRADERS
from data_gen.graders.base import Grader
from data_gen.grading import checker, values
from data_gen.grading.clean import plain
from data_gen.records.problem import Problem
from data_gen.records.verdict import Answer, Grade, Verdict


@GRADERS.register("generator")
class Generator(Grader):
    """`grader: generator`, for the task `reasoning_gym`. Many puzzles have several right answers or no single gold;
    their generator can check them all. The score is the generator's own."""

    version: ClassVar[int] = 2
    instant: ClassVar[bool] = False
    uses: Literal["generator"] = "generator"

    def grade(self, problem: Problem, answer: Answer) -> Grade:
        """CORRECT iff the generator's scorer returns 1 or more.

        Returns:
            The verdict with its reason: `no_answer`, `text` (gold itself, which needs no scorer), `no_generator` (the
            problem comes from elsewhere, UNVERIFIABLE), or one of `checker.score`.
        """
        entry = json.loads(problem.payload or "{}")
        if "generator" not in entry:
            return Grade(Verdict.UNVERIFIABLE, "no_generator")
        if answer.text is None or not answer.text.strip():
            return Grade(Verdict.WRONG, "no_answer")
        if answer.text == problem.gold:
            return Grade(Verdict.CORRECT, "text")
        generator, config = entry.pop("generator"), entry.pop("config")
        settings = json.dumps({**config, "seed": 0, "size": 1})
        return checker.score(generator, settings, {**entry, "question": problem.question}, answer.text)

    def canonical(self, problem: Problem, answer: str) -> Hashable | None:
        """Its text apart from formatting and white space. Case counts, as it does for many scorers."""
        return " ".join(plain(answer).split())

    def same(self, problem: Problem, one: str, other: str) -> bool:
        """Equal texts, or equal numbers. The scorer is not asked: it knows the right answers, so that two different
        right ones would be the same."""
        if self.canonical(problem, one) == self.canonical(problem, other):
            return True
        numbers = values.read(one), values.read(other)
        return all(map(values.is_numeral, numbers)) and values.compare(one, other).verdict is Verdict.CORRECT

    def compare(self, *, gold: str, answer: str) -> Grade:
        """Not called: `grade` needs the whole problem."""
        raise NotImplementedError
