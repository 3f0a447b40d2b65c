"""Model, head and loss terms as one module, so that DDP, DeepSpeed's hooks and checkpoints see everything that is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from reasoning_train.packing.attention import masks
from reasoning_train.packing.batch import Batch
from reasoning_train.packing.rows import Row
from reasoning_train.trainers.logprobs import backbone, chosen_logprobs
from reasoning_train.trainers.losses.base import Loss, Outputs

if TYPE_CHECKING:
    from data_gen.verifiers.value_head import ValueHead


class Objective(nn.Module):
    """`Objective(model, [CrossEntropy()])(batch)` is `{"lm": sum of -log p}`; a term's mean is its sum over the step's `weigh`.

    `head`: a ValueHead that reads the last hidden states (not logits).
    """

    def __init__(self, model: Any, losses: Sequence[Loss], head: ValueHead | None = None) -> None:
        super().__init__()
        self.model, self.head, self.losses = model, head, tuple(losses)

    @property
    def config(self) -> Any:
        """The model's, which DeepSpeed's `auto` settings look at."""
        return self.model.config

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Sums by name of loss term."""
        out = self.outputs(batch)
        return {loss.name: loss(out) for loss in self.losses}

    def outputs(self, batch: Batch) -> Outputs:
        """One pass over the backbone, and what the losses read from it."""
        body = backbone(self.model)
        mask = masks(body, batch["visible"], batch["position_ids"])
        states = body(
            input_ids=batch["input_ids"], position_ids=batch["position_ids"], attention_mask=mask, use_cache=False
        ).last_hidden_state.flatten(0, 1)
        unique = chosen_logprobs(self.model, states[batch["predict_at"]], batch["predict_label"])
        raw = self.head.raw(states[batch["read_at"]]) if self.head is not None else states.new_zeros(len(batch["read_at"])).float()
        return Outputs(batch=batch, logprobs=unique[batch["token"]], raw=raw[batch["value"]], head=self.head)

    def weigh(self, rows: Sequence[Row]) -> dict[str, float]:
        """What each term is divided by where `rows` form an optimizer step."""
        return {loss.name: sum(loss.weigh(row) for row in rows) for loss in self.losses}
