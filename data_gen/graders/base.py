"""The grader interface: it takes gold and an answer and returns a verdict with a score and a reason.

A grader is a frozen pydantic model that a task names: `grader: exact`, `grader: {uses: numeric, tolerance: 1e-3}`. Its
files import nothing heavy at top level.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import replace
from typing import ClassVar

from data_gen.extractors.base import Extractor
from data_gen.records.problem import Problem
from data_gen.records.verdict import Answer, Grade, Verdict
from data_gen.registry import Piece


class Grader(Piece, ABC):
    """Base of all graders. A subclass says which gold it can read and how it compares an answer with it.

    All graders share one rule. Gold that cannot be read makes the problem UNVERIFIABLE, whatever the answer. If gold
    can be read, every answer is CORRECT or WRONG, even an unreadable one. A grader that needs more of the problem than
    its gold overrides `grade`, and `canonical` or `same` with it.
    """

    instant: ClassVar[bool] = True
    """True: a verdict takes microseconds, so it needs no thread."""
    forms_decide: ClassVar[bool] = False
    """True: answers with different canonical forms differ, so that votes need not compare them in pairs."""
    keeps_lists: ClassVar[bool] = False
    """True: gold that the source gives as a list or an object reaches the grader as JSON. False: its elements are
    joined by commas."""

    runs_programs: ClassVar[bool] = False
    """True: it runs answers as programs, so that a sandbox must hold where it grades."""

    @property
    def finds_with(self) -> tuple[Extractor, ...] | None:
        """How the grader itself finds the answer, in cut completions too, as the tool does whose numbers it gives.
        None: the Format says how, and a cut completion has no answer."""
        return None

    def grade(self, problem: Problem, answer: Answer) -> Grade:
        """The verdict on an answer to a problem.

        Returns:
            UNVERIFIABLE `no_gold` or `bad_gold`, WRONG `no_answer`, or what `compare` says.
        """
        if problem.gold is None:
            return Grade(Verdict.UNVERIFIABLE, "no_gold")
        if not problem.gold.strip() or not self.reads(problem.gold):
            return Grade(Verdict.UNVERIFIABLE, "bad_gold")
        if answer.text is None or not answer.text.strip():
            return Grade(Verdict.WRONG, "no_answer")
        return self.compare(gold=problem.gold, answer=answer.text)

    def canonical(self, problem: Problem, answer: str) -> Hashable | None:
        """A form that answers share only if they are the same answer. None: it has none, and is compared in pairs.
        Votes and maj@k count by it, so it must not read the problem's own gold."""
        return None

    def same(self, problem: Problem, one: str, other: str) -> bool:
        """Whether two answers are the same answer, whichever of them is right: they have one canonical form, or each
        is CORRECT with the other as gold. Like `canonical` it must not read the problem's own gold."""
        forms = self.canonical(problem, one), self.canonical(problem, other)
        if self.forms_decide or (forms[0] is not None and forms[0] == forms[1]):
            return forms[0] == forms[1]
        pairs = ((one, other), (other, one))
        return all(self.grade(replace(problem, gold=a), Answer(b)).verdict is Verdict.CORRECT for a, b in pairs)

    def reads(self, gold: str) -> bool:
        """Whether this grader can read a reference answer. The reference answer is not blank."""
        return True

    @abstractmethod
    def compare(self, *, gold: str, answer: str) -> Grade:
        """CORRECT or WRONG, with the reason. `gold` can be read and `answer` is not blank."""


def decided(right: bool, reason: str) -> Grade:
    """CORRECT or WRONG, with the given reason."""
    return Grade(Verdict.CORRECT if right else Verdict.WRONG, reason)
