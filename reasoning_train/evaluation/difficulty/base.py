"""Interface of difficulty estimates: a frozen config that recipes write, and one function from a few samples to a
number.

    @DIFFICULTIES.register("answered")
    class Answered(Difficulty):
        uses: Literal["answered"] = "answered"

        def ease(self, samples: FewSamples) -> float: ...
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from data_gen.registry import Piece, Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class FewSamples:
    """Samples of one problem, without gold: three of them, of which two agree and one was cut.

    >>> FewSamples(problem_id="p0", classes=(0, 0, -1), values=((0.5, 0.9), (0.7,), ()), logprobs=(-0.1, -0.2, -0.9))
    ...     # doctest: +ELLIPSIS
    FewSamples(problem_id='p0', classes=(0, 0, -1), ...)
    """

    problem_id: str
    classes: tuple[int, ...]
    """Class of each answer under the task's equality; -1 without an answer."""
    values: tuple[tuple[float | None, ...], ...] = ()
    """A verifier's value of each step of each sample, as a probability if its scale converts to one. None for a step
    that it has not read."""
    logprobs: tuple[float | None, ...] = ()
    """Mean log-probability of each sample's tokens under the policy. None if the engine gave none."""


class Difficulty(Piece, ABC):
    """Says how easy a problem looks. Problems are sorted by it, so only the order of the numbers matters."""

    reads_values: ClassVar[bool] = False
    """Whether it reads a verifier's values, whose tokens are then charged."""

    @abstractmethod
    def ease(self, samples: FewSamples) -> float:
        """A finite number; higher is easier. UserError if the samples lack what it reads."""


DIFFICULTIES: Registry[type[Difficulty]] = Registry(
    "estimate of difficulty", package="reasoning_train.evaluation.difficulty", group="reasoning_train.difficulties"
)
"""Name -> estimate."""
