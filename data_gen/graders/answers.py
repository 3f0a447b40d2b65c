"""`answers`: one answer or several, such as those of a problem with several blanks, within a tolerance."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator
from typing import ClassVar, Literal

from pydantic import Field

from data_gen.graders import GRADERS
from data_gen.graders.auto import Auto
from data_gen.graders.base import Grader, decided
from data_gen.graders.numeric import Numeric
from data_gen.grading.choices import Options
from data_gen.grading.clean import after_lead_in, plain
from data_gen.grading.parts import most_pairs, split_outside_brackets
from data_gen.records.problem import Problem
from data_gen.records.verdict import Answer, Grade, Verdict

_SEPARATORS = ((";",), (",", "、", " and ", "和"))
"""What answers may write between their parts instead of the separator of gold. Those of one group may be mixed."""


@GRADERS.register("answers")
class SeveralAnswers(Grader):
    """`grader: answers`: gold is one answer or several, `5; 10`. An answer must give as many, in the order of gold, and
    each is compared as `auto` does. It may separate them by `;`, by commas or by words. The score is the share of
    parts that are right.

    A row may bring a tolerance of its own: `fields: {payload: {tolerance: error}}`.
    """

    version: ClassVar[int] = 1
    instant: ClassVar[bool] = False
    uses: Literal["answers"] = "answers"
    separator: str = Field(";", min_length=1)
    """Separator of the answers of gold. It does not divide what stands in brackets."""
    ordered: bool = True
    """False: the answers may come in any order, as the solutions of an equation do."""
    letters: bool = False
    """True: gold of several capitals (`ABD`) picks these options, in any order, and nothing else does."""
    tolerance: float = Field(0.0, ge=0)
    """Greatest absolute difference of a number from gold, in rows that bring none."""
    relative: float = Field(0.0, ge=0)
    """Greatest difference of a number as a share of gold. The wider of the two tolerances counts."""

    def grade(self, problem: Problem, answer: Answer) -> Grade:
        """As `Grader.grade`, with the tolerance of the row if it brings one; UNVERIFIABLE `bad_tolerance` if that is
        no number. Several numbers (`0.1,0.01`): the widest counts."""
        try:
            own = _tolerance(problem)
        except ValueError:
            return Grade(Verdict.UNVERIFIABLE, "bad_tolerance")
        made = self if own is None else self.model_copy(update={"tolerance": own})
        return super(SeveralAnswers, made).grade(problem, answer)

    def canonical(self, problem: Problem, answer: str) -> Hashable | None:
        """As `auto` for an answer of one part. Others are compared in pairs."""
        several = self._letters(answer) or any(len(found) > 1 for found in self._read(answer))
        return None if several else Auto().canonical(problem, answer)

    def reads(self, gold: str) -> bool:
        """Every part can be read as `auto` reads gold."""
        return all(Auto().reads(part) for part in self._parts(gold, self.separator))

    def compare(self, *, gold: str, answer: str) -> Grade:
        """Reason `options` for several letters, that of `auto` for one part, `answers` for several parts, or WRONG
        `other_number` if there are more or fewer parts than in gold."""
        if wanted := self._letters(gold):
            return decided(Options().picked(plain(answer)) == wanted, "options")
        parts = self._parts(gold, self.separator)
        whole = self._one(gold, answer) if len(parts) == 1 or not self.ordered else None
        if whole is not None and (len(parts) == 1 or whole.verdict is Verdict.CORRECT):
            return whole  # without an order, `±2` is two answers that `auto` reads as a whole
        said = next((found for found in self._read(answer) if len(found) == len(parts)), None)
        if said is None:
            return Grade(Verdict.WRONG, "other_number")
        right = self._right(parts, said)
        return Grade(Verdict.CORRECT if right == len(parts) else Verdict.WRONG, "answers", right / len(parts))

    def _right(self, parts: list[str], said: list[str]) -> int:
        """How many parts are right."""
        if self.ordered:
            return sum(self._equal(one, other) for one, other in zip(parts, said, strict=True))
        return most_pairs([[self._equal(one, other) for other in said] for one in parts])

    def _equal(self, gold: str, answer: str) -> bool:
        return self._one(gold, answer).verdict is Verdict.CORRECT

    def _one(self, gold: str, answer: str) -> Grade:
        """The verdict on one part: that of `auto`, or within the tolerance."""
        found = Auto().compare(gold=gold, answer=answer)
        near = Numeric(tolerance=self.tolerance, relative=self.relative)
        if found.verdict is Verdict.CORRECT or not (self.tolerance or self.relative) or not near.reads(gold):
            return found
        return near.compare(gold=gold, answer=answer)

    def _read(self, answer: str) -> Iterator[list[str]]:
        """The parts of an answer, by each way in which it may separate them."""
        inside = after_lead_in(answer)
        return (self._parts(inside, *marks) for marks in ((self.separator,), *_SEPARATORS))

    def _parts(self, text: str, *marks: str) -> list[str]:
        """The parts between separators. Dollar signs are taken off where a separator divides what they enclose."""
        found = split_outside_brackets(text, *marks)
        torn = any(part.count("$") % 2 for part in found)
        return [part.replace("$", "").strip() if torn else part for part in found]

    def _letters(self, gold: str) -> frozenset[str]:
        """The options that gold of several letters picks."""
        picked = Options().alone(plain(gold)) if self.letters else frozenset()
        return picked if len(picked) > 1 else frozenset()


def _tolerance(problem: Problem) -> float | None:
    """The tolerance of a row; None if it brings none. ValueError for one that is no number."""
    brought = json.loads(problem.payload).get("tolerance") if problem.payload else None
    numbers = [float(part) for part in ("" if brought is None else str(brought)).split(",") if part.strip()]
    if any(not 0 <= number < float("inf") for number in numbers):
        raise ValueError(f"no tolerance: {brought}")
    return max(numbers, default=None)
