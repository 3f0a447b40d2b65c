"""`list`: the same elements in the same order."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from data_gen.graders import GRADERS
from data_gen.graders.base import Grader
from data_gen.grading.lists import prefix_length, read_list
from data_gen.records.verdict import Grade, Verdict


@GRADERS.register("list")
class List(Grader):
    """`grader: list`: gold is a list (JSON in the source keeps its types). Every element must be there, in order. The
    score is the share that agrees from the front (ProcBench's prefix accuracy, arXiv 2410.03117)."""

    version: ClassVar[int] = 1
    keeps_lists: ClassVar[bool] = True
    uses: Literal["list"] = "list"
    fields: tuple[str, ...] = ()
    """If gold and answers are objects, the list is their values under these names, e.g. `[intermediate, final]`."""
    last: str | None = None
    """For objects: the name of the last element, behind those of `fields`. It is one element even if it is a list
    itself, as the final state of a procedure is."""
    separator: str = Field(",", min_length=1)
    """Separator of the elements of a list in plain text."""

    def reads(self, gold: str) -> bool:
        """A list, which may be empty."""
        return read_list(gold, self.fields, self.separator, self.last) is not None

    def compare(self, *, gold: str, answer: str) -> Grade:
        """Reason `list`, or WRONG `not_a_list`."""
        wanted = read_list(gold, self.fields, self.separator, self.last)
        said = read_list(answer, self.fields, self.separator, self.last)
        assert wanted is not None
        if said is None:
            return Grade(Verdict.WRONG, "not_a_list")
        longest = max(len(wanted), len(said))
        share = prefix_length(wanted, said) / longest if longest else 1.0
        return Grade(Verdict.CORRECT if share == 1.0 else Verdict.WRONG, "list", share)
