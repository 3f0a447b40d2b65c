"""Base of losses over pairs: the margin of the better side over the worse side, and the watched figures.

The better trace of a row comes first. Sums run over the tokens that carry weight: with the prefix in the prompt and
weights on one step, DPO is Step-DPO (arXiv 2406.18629, eq. 3).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from reasoning_train.trainers.losses.base import Loss, Reading

if TYPE_CHECKING:
    from torch import Tensor

    from reasoning_train.packing.rows import Row
    from reasoning_train.trainers.outputs import Outputs


class Preference(Loss, ABC):
    """A mean over pairs of a function of the margin h, the better side's score less the worse side's."""

    reads: ClassVar[tuple[Reading, ...]] = ("pairs",)
    watched = ("accuracy", "margin")
    """Share of pairs with h > 0 (ties half), and mean h."""

    def normalizer(self, row: Row) -> float:
        """The pair's weight."""
        return row.weight

    @abstractmethod
    def scores(self, out: Outputs) -> Tensor:
        """[N] the score of every trace, in nats."""

    @abstractmethod
    def of_margin(self, h: Tensor, smoothing: Tensor) -> Tensor:
        """[K] the loss of every pair. h [K]: its margin. smoothing [K]: the probability that its order is wrong, 0 if
        none was given."""

    def __call__(self, out: Outputs) -> Tensor:
        """Sum over pairs. ValueError unless every row has two traces."""
        return (self.of_margin(self._margins(out), out.batch["row_smoothing"]) * out.batch["row_weight"]).sum()

    def watch(self, out: Outputs) -> tuple[Tensor, ...]:
        """Sums over pairs."""
        h = self._margins(out)
        return (((h > 0) + 0.5 * (h == 0)) * out.batch["row_weight"]).sum(), (h * out.batch["row_weight"]).sum()

    def _margins(self, out: Outputs) -> Tensor:
        better, worse = pairs(out)
        scores = self.scores(out)
        return scores[better] - scores[worse]


def over_reference(out: Outputs, *, length_normalised: bool) -> Tensor:
    """[N] log-probability of every trace minus the reference's, in total or per token."""
    gained = out.trace_logprobs - out.batch["trace_reference"]
    return gained / out.trace_tokens if length_normalised else gained


def pairs(out: Outputs) -> tuple[Tensor, Tensor]:
    """[K], [K]: indices of the better and of the worse trace of every row."""
    import torch

    rows = out.batch["trace_row"]
    if len(rows) != 2 * len(out.batch["row_weight"]) or not torch.equal(rows[::2], rows[1::2]):
        raise ValueError("a preference loss needs rows of two traces each, the better one first")
    numbers = torch.arange(len(rows), device=rows.device)
    return numbers[::2], numbers[1::2]
