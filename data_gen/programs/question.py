"""The problem as a program sees it: without anything that tells the answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NoReturn

from data_gen.errors import UserError
from data_gen.records.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class BareProblem:
    """`BareProblem(id="chain/test/7", question="Ana has 12 coins. How many has Ana?", asked="Ana has 12 coins. ...")`.

    What tells the answer is not in it, and UserError is raised where a program asks for it.
    """

    id: str
    question: str
    asked: str
    """The question as the task's `prompt` puts it, which may say how to answer."""
    choices: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    split: str = ""
    task: str = ""

    @property
    def gold(self) -> NoReturn:
        """Not given to programs."""
        raise self._refused("gold")

    @property
    def gold_steps(self) -> NoReturn:
        """Not given to programs."""
        raise self._refused("gold_steps")

    @property
    def more_steps(self) -> NoReturn:
        """Not given to programs."""
        raise self._refused("more_steps")

    @property
    def payload(self) -> NoReturn:
        """Not given to programs, since checkers keep answers in it."""
        raise self._refused("payload")

    def _refused(self, field: str) -> UserError:
        return UserError(
            f"program: problem {self.id!r} was asked for {field!r}. A program gets no gold; judge solutions with "
            "`kit.score` or `kit.vote`."
        )


def without_gold(problem: Problem) -> Problem:
    """A problem as scorers and votes of a program get it."""
    return replace(problem, gold=None, gold_steps=(), more_steps=(), payload="", tags={}, difficulty=None)
