"""`ranking`: compares a head's scores of solutions of one problem, or of steps after one prefix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from data_gen.records.scales import Scale
from reasoning_train.trainers.losses.base import LOSSES, Loss

if TYPE_CHECKING:
    from torch import Tensor

    from data_gen.verifiers.heads import HeadConfig
    from reasoning_train.packing.rows import Row
    from reasoning_train.trainers.outputs import Outputs


@LOSSES.register("ranking")
class Ranking(Loss):
    """The mean over rows of the mean over their ordered pairs of -log sigma(r_better - r_worse - margin).

    Over right and wrong solutions of one problem this is Qwen2.5-Math's listwise loss (arXiv 2409.12122, section 3.1).
    Over the children of one node, read at the ends of their steps, it is Tree-PLV's loss (arXiv 2407.00390). Over two
    of them it is rStar-Math's loss (arXiv 2501.04519, section 3.3).
    """

    uses: Literal["ranking"] = "ranking"
    reads = ("ranks",)
    watched = ("accuracy",)
    """Share of a row's ordered pairs that the scores order correctly (ties count half)."""

    margin: float = Field(0.0, ge=0)
    """How much higher the better score should be."""

    def head_problem(self, head: HeadConfig) -> str | None:
        """Only scale 'ranking' fits: differences of scores do not determine a scale's zero."""
        if head.scale is Scale.RANKING:
            return None
        return f"needs a head of scale 'ranking', not {str(head.scale)!r}; expected 'bce' or 'mse'"

    def normalizer(self, row: Row) -> float:
        """The row's weight; 0 if nothing in it can be compared."""
        return row.weight if len(set(row.ranks)) > 1 else 0.0

    def __call__(self, out: Outputs) -> Tensor:
        """Sum over rows."""
        import torch.nn.functional as F

        ahead, weights = self._compared(out)
        return (-F.logsigmoid(ahead - self.margin) * weights).sum()

    def watch(self, out: Outputs) -> tuple[Tensor, ...]:
        """Sum over rows."""
        ahead, weights = self._compared(out)
        return ((((ahead > 0) + 0.5 * (ahead == 0)) * weights).sum(),)

    def _compared(self, out: Outputs) -> tuple[Tensor, Tensor]:
        """(score difference, weight) of every ordered pair. A row's pairs share its weight equally."""
        import torch

        scores, ranks, rows = out.trace_scores, out.batch["trace_rank"], out.batch["trace_row"]
        compared = (rows[:, None] == rows[None, :]) & (ranks[:, None] > ranks[None, :])
        better, worse = compared.nonzero(as_tuple=True)
        n = torch.bincount(rows[better], minlength=len(out.batch["row_weight"])).clamp_min(1)
        return scores[better] - scores[worse], (out.batch["row_weight"] / n)[rows[better]]
