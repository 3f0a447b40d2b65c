"""`set`: the same elements in any order."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from data_gen.graders import GRADERS
from data_gen.graders.base import Grader
from data_gen.grading.lists import read_list, same_element
from data_gen.records.verdict import Grade, Verdict


@GRADERS.register("set")
class Set(Grader):
    """`grader: set`: gold is a list. An answer must have every element and no other, in any order; repeats count once.
    The score is the share of all elements that both have (Jaccard)."""

    version: ClassVar[int] = 1
    keeps_lists: ClassVar[bool] = True
    uses: Literal["set"] = "set"
    separator: str = Field(",", min_length=1)
    """Separator of the elements of a list in plain text, e.g. `;`."""

    def reads(self, gold: str) -> bool:
        """A list, which may be empty."""
        return read_list(gold, (), self.separator) is not None

    def compare(self, *, gold: str, answer: str) -> Grade:
        """Reason `set`, or WRONG `not_a_list`."""
        wanted, said = (read_list(text, (), self.separator) for text in (gold, answer))
        assert wanted is not None
        if said is None:
            return Grade(Verdict.WRONG, "not_a_list")
        wanted, said = _distinct(wanted), _distinct(said)
        shared = sum(any(same_element(one, other) for other in said) for one in wanted)
        everything = len(wanted) + len(said) - shared
        share = shared / everything if everything else 1.0
        return Grade(Verdict.CORRECT if share == 1.0 else Verdict.WRONG, "set", share)


def _distinct(elements: list[Any]) -> list[Any]:
    kept: list[Any] = []
    for element in elements:
        if not any(same_element(element, known) for known in kept):
            kept.append(element)
    return kept
