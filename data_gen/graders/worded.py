"""`worded`: gold in words: several forms of a value, remarks, sentences around it (CHAMP, arXiv 2401.06961)."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import ClassVar, Literal

from data_gen.graders import GRADERS
from data_gen.graders.auto import Auto
from data_gen.graders.base import Grader
from data_gen.grading.clean import plain
from data_gen.records.problem import Problem
from data_gen.records.verdict import Grade, Verdict

_FORMS = re.compile(r",? or (?:equivalently|approximately|an equivalent form such as) ")
"""Stands between the forms of one value."""
_REMARK = re.compile(r"\s*\((?:i\.e\.|none|no such)[^()]*\)$", re.I)
"""Behind a value: what it means."""
_SENTENCES = (
    re.compile(r"(?P<value>.+) is the only possible (?:value|solution)", re.I),
    re.compile(r"the only possible (?:value|solution)(?: for the limit)? is (?P<value>.+)", re.I),
    re.compile(r"the limit (?:exists and )?is (?:equal to )?(?P<value>(?!not\b).+)", re.I),
    re.compile(r"(?:at least|at most|exactly) (?P<value>\d+|one)(?: [a-z -]+)?", re.I),
)
"""Sentences around a value."""
_NONE = re.compile(
    r"(?:there (?:is|are) )?(?:no|none|0)\b(?: (?:such|positive|integer|real|possible|valid))*"
    r"(?: (?:solutions?|values?|roots?|zeros|pairs|integers|numbers))?(?: (?:exist|are possible))?",
    re.I,
)
"""Says that there are no such things."""
_ONE = re.compile(r"one", re.I)


@GRADERS.register("worded")
class Worded(Grader):
    """`grader: worded`: compares as `auto` does, and lets an answer say gold in one of its forms (`C(10, 5), or
    equivalently 252`), without its remark (`100 (i.e., all values)`), or as the value alone (`3 is the only possible
    value`). All ways to say that there are none are the same where gold says so with a noun (`No integer solutions`).
    """

    version: ClassVar[int] = 1
    instant: ClassVar[bool] = False
    uses: Literal["worded"] = "worded"

    def canonical(self, problem: Problem, answer: str) -> Hashable | None:
        """As `auto`, of the value alone."""
        return Auto().canonical(problem, _value(plain(answer)))

    def reads(self, gold: str) -> bool:
        """Any form that `auto` can read."""
        return any(Auto().reads(form) for form in forms(gold))

    def compare(self, *, gold: str, answer: str) -> Grade:
        """The reason is that of the form that decided, or `none`."""
        if _says_none(gold) and _NONE.fullmatch(plain(answer).strip()):
            return Grade(Verdict.CORRECT, "none")
        grade = Grade(Verdict.WRONG, "text")
        for form in filter(Auto().reads, forms(gold)):
            for said in dict.fromkeys((answer, _value(plain(answer)))):
                grade = Auto().compare(gold=form, answer=said)
                if grade.verdict is Verdict.CORRECT:
                    return grade
        return grade


def forms(gold: str) -> list[str]:
    """The texts that say the same as gold, gold first.

    >>> forms("C(10, 5), or equivalently 252"), forms("100 (i.e., all values)"), forms("3 is the only possible value")
    (['C(10, 5), or equivalently 252', 'C(10, 5)', '252'], ['100 (i.e., all values)', '100'], \
['3 is the only possible value', '3'])
    """
    return list(dict.fromkeys([gold, *(_value(form) for form in _FORMS.split(gold.strip()))]))


def _value(text: str) -> str:
    """A text without its remark and the sentence around its value."""
    bare = _REMARK.sub("", text.strip()).rstrip(".")
    found = next((match for sentence in _SENTENCES if (match := sentence.fullmatch(bare))), None)
    value = found["value"] if found else bare
    return _ONE.sub("1", value) if _ONE.fullmatch(value) else value


def _says_none(gold: str) -> bool:
    """Whether gold says with a noun that there are none. `No` alone answers a question, and `0` is a number."""
    return re.match(r"no\s", gold.strip(), re.I) is not None and _NONE.fullmatch(gold.strip()) is not None
