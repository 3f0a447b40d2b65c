"""A partial solution, as searches hand it to scorers and verifiers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from data_gen.records.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
    """A partial solution as scorers see it.

    `Prefix(problem=p, prompt_ids=(5, 9), token_ids=(7, 4), ends=(1,), read=lambda: (("12 + 5 = 17",), ""),
    ended=False)`
    """

    problem: Problem
    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    """The policy's ids since the prompt. A verifier with another tokenizer reads `steps` instead."""
    ends: tuple[int, ...] = ()
    """Index in `token_ids` of the last token of every step and of the answer line (its end token included). Empty: not
    known."""
    cuts: tuple[int, ...] = ()
    """Lengths in `token_ids` at which the path's nodes end, which other prefixes may share. The last one is the whole
    length. Empty: not known."""
    read: Callable[[], tuple[tuple[str, ...], str]]
    """Returns `steps` and `closing`. It is called only on demand, since most scorers read ids only."""
    ended: bool
    """The solution is finished: it has an answer or can have none."""
    answer: str | None = None
    value: float | None = None
    """A joint model's value at the last token, on its head's scale."""

    @property
    def steps(self) -> tuple[str, ...]:
        """Texts of the reasoning steps, stripped."""
        return self.read()[0]

    @property
    def solution(self) -> tuple[int, ...] | None:
        """The whole solution for `GrantedGold.outcome`. None if it has no answer."""
        return None if self.answer is None else self.token_ids

    @property
    def closing(self) -> str:
        """The answer line, if there is one."""
        return self.read()[1]
