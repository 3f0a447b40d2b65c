"""Model, head and loss terms in one module, so that DDP, DeepSpeed's hooks and checkpoints see all trained weights."""

from __future__ import annotations

import contextlib
import functools
import operator
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from data_gen.checkpoints import unwrapped
from data_gen.models.settle import settle
from reasoning_train.packing import varlen
from reasoning_train.packing.batch import Batch
from reasoning_train.packing.plan import Packing
from reasoning_train.packing.rows import Row
from reasoning_train.packing.tree_attention import ForestAttention, forest_attention, row_attention
from reasoning_train.trainers.logprobs import NOTHING, read_logits
from reasoning_train.trainers.losses.base import Loss, Needs
from reasoning_train.trainers.outputs import Outputs
from reasoning_train.trainers.packed_pass import packed_pass
from reasoning_train.trainers.self_check import agrees, check_packing, forest_arrives

if TYPE_CHECKING:
    from data_gen.verifiers.value_head import ValueHead


class Objective(nn.Module):
    """`Objective(model, [CrossEntropy()])(batch)` is `{"cross_entropy": sum of -log p}`. A term's mean is its sum
    divided by the step's entry in `normalizers`. Watched figures have keys such as `dpo_accuracy`; a second term of the
    same name is `entropy_2`.

    `head`: a ValueHead, for losses that read values. `bf16`: passes compute in bfloat16 whatever the type of the
    weights; losses do not. `needs`: what callers other than losses read from `outputs`. Before the first rows, packed
    rows are compared with plain forward passes on a small model of the same family and settings; UserError if they
    differ.
    """

    def __init__(
        self,
        model: Any,
        losses: Sequence[Loss],
        head: ValueHead | None = None,
        *,
        bf16: bool = False,
        needs: Needs = NOTHING,
    ) -> None:
        super().__init__()
        settle(model)
        self.model, self.head, self.losses, self.bf16 = model, head, _named(losses), bf16
        self.needs = functools.reduce(operator.or_, (loss.needs for loss in losses), needs)
        self.forest: ForestAttention | None = None
        self._unsure = True

    @property
    def config(self) -> Any:
        """The model's config, which DeepSpeed reads for its `auto` settings."""
        return self.model.config

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The sum of every loss term and of every watched figure, by name."""
        out = self.outputs(batch)
        sums = {name: loss(out) for name, loss in self.losses.items()}
        with torch.no_grad():
            watched = {
                figure: value
                for name, loss in self.losses.items()
                for figure, value in zip(_figures(name, loss), loss.watch(out), strict=True)
            }
        return sums | watched

    def outputs(self, batch: Batch) -> Outputs:
        """Run one forward pass and return what losses read from it."""
        with self._precision():
            return self._outputs(batch)

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        """Autocast to bfloat16. Under ZeRO-3 it does not cache its copies of the weights, which would undo the
        sharding. Copies that the backward pass needs stay unless layers are recomputed."""
        device, cut = self.model.device.type, any(hasattr(p, "ds_id") for p in self.model.parameters())
        return torch.autocast(device, dtype=torch.bfloat16, enabled=self.bf16, cache_enabled=not cut)

    def _outputs(self, batch: Batch) -> Outputs:
        if "visible" in batch:
            self._check_rows(batch["position_ids"])
        passed = packed_pass(self.model, batch, self.forest, layers=bool(self.needs.layers))
        states = passed.last_hidden_state.flatten(0, 1)
        ids = {name: _asked(batch, name) for name in self.needs.ids}
        read = read_logits(self.model, states[batch["predict_at"]], batch["predict_label"], needs=self.needs, ids=ids)
        return Outputs(
            batch=batch,
            logprobs=read["chosen"][batch["token"]],
            raw=self._raw(states[batch["read_at"]])[batch["value"]],
            head=self.head,
            read=read,
            states={layer: passed.hidden_states[layer].flatten(0, 1) for layer in self.needs.layers},
        )

    def _check_rows(self, positions: Tensor) -> None:
        """UserError if the model would compute these rows, padded or under a mask, otherwise than plain ones."""
        if self._unsure:
            self._unsure = not all(agrees(self.model, packing) for packing in ("none", "sequence"))
        if self._unsure:
            alone = (positions == torch.arange(positions.shape[1], device=positions.device)) | (positions == 0)
            check_packing(self.model, "none" if alone.all() else "sequence")

    @contextlib.contextmanager
    def packed(self, packing: Packing) -> Iterator[ForestAttention | None]:
        """Inside the `with` block the model uses forest attention for tree packing, else FlashAttention if it is
        available; neither if its layers do not pass the forest on. Batches must be collated with the yielded attention.

        UserError if the model would compute packed rows otherwise than plain ones."""
        model = unwrapped(self.model)
        before = model.config._attn_implementation
        check_packing(model, packing)
        fitting = forest_attention if packing == "tree" else functools.partial(row_attention, bf16=self.bf16)
        wanted = packing == "tree" or varlen.available(model, bf16=self.bf16)
        self.forest = fitting(model) if wanted and forest_arrives(model) else None
        try:
            yield self.forest
        finally:
            if self.forest:
                model.set_attn_implementation(before)
            self.forest = None

    def _raw(self, states: Tensor) -> Tensor:
        """Scores of the head, which reads hidden states or their logits."""
        if self.head is None:
            return states.new_zeros(len(states)).float()
        return self.head.raw(
            self.model.get_output_embeddings()(states) if self.head.config.kind == "from_vocab" else states
        )

    def normalizers(self, rows: Sequence[Row]) -> dict[str, float]:
        """The divisor of each sum for an optimizer step of `rows`."""
        weights = [(name, loss, sum(loss.normalizer(row) for row in rows)) for name, loss in self.losses.items()]
        return {one: weight for name, loss, weight in weights for one in (name, *_figures(name, loss))}


def _asked(batch: Batch, name: str) -> Tensor:
    """[U, K] ids of a column; empty if nothing is predicted. ValueError if rows lack the column."""
    if f"ids.{name}" in batch:
        return batch[f"ids.{name}"]
    if len(batch["predict_label"]):
        raise ValueError(f"not all rows with a trained token have the column {name!r}, whose ids a loss reads")
    return batch["predict_label"].new_zeros(0, 1)


def _named(losses: Sequence[Loss]) -> dict[str, Loss]:
    """Losses by their names in curves."""
    named: dict[str, Loss] = {}
    for loss in losses:
        same = sum(other.uses == loss.uses for other in named.values())
        named[f"{loss.uses}_{same + 1}" if same else loss.uses] = loss
    return named


def _figures(name: str, loss: Loss) -> list[str]:
    return [f"{name}_{figure}" for figure in loss.watched]
