"""`prefix_match`: how far a list of states agrees with gold (ProcBench, arXiv 2410.03117)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from data_gen.grading.lists import prefix_length, read_list, same_element
from data_gen.measures import MEASURES
from data_gen.measures.base import Direction, Measure, MeasuredTask
from data_gen.records.problem import Problem
from data_gen.records.solution import Solution

COLUMNS = ("prefix_length", "prefix_accuracy", "sequential_match", "final_match")
"""The paper's PML, PA, SM and FM."""


@MEASURES.register("prefix_match")
class PrefixMatch(Measure):
    """`measures: [{uses: prefix_match, fields: [intermediate], last: final}]`, for use with the grader `list` and the
    same `fields`, `last` and `separator`. The columns are the number of elements that agree from the front, their share
    of the longer list, whether all agree, and whether the last one does."""

    version: ClassVar[int] = 1
    reads_gold: ClassVar[bool] = True
    uses: Literal["prefix_match"] = "prefix_match"
    fields: tuple[str, ...] = ()
    """If gold and answers are objects, the list is their values under these names."""
    last: str | None = None
    """Under this name an object has its last element, which is one element even if it is a list itself."""
    separator: str = Field(",", min_length=1)
    """Separator of the elements of a list in plain text."""

    def directions(self) -> Mapping[str, Direction]:
        """Four columns. Higher is better."""
        return dict.fromkeys(COLUMNS, Direction.HIGHER)

    def shares(self) -> frozenset[str]:
        """All but `prefix_length`."""
        return frozenset(COLUMNS) - {"prefix_length"}

    def of(self, task: MeasuredTask, problem: Problem, solution: Solution) -> dict[str, float]:
        """No columns if gold is not a list. All 0 if the answer is not."""
        gold = read_list(problem.gold or "", self.fields, self.separator, self.last)
        said = read_list(solution.answer or "", self.fields, self.separator, self.last)
        if gold is None:
            return {}
        if said is None:
            return dict.fromkeys(COLUMNS, 0.0)
        agree, longest = prefix_length(gold, said), max(len(gold), len(said))
        final = bool(gold and said and same_element(gold[-1], said[-1])) or not longest
        share = agree / longest if longest else 1.0
        return dict(zip(COLUMNS, (float(agree), share, float(share == 1.0), float(final)), strict=True))
