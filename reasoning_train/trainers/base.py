"""A `transformers.Trainer` whose dataset item is one whole optimizer step and whose checkpoints are whole or absent.

The step's rows are packed into micro-batches; every micro-batch adds its loss *sum*, divided by the weight sum of the
whole step, so accumulation, packing and padding cannot change the loss (pains 7 and 8 of trainers built on means).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset, SequentialSampler
from transformers import Trainer, TrainerCallback, TrainingArguments

from reasoning_train.packing.sequence import TrainRow, collate, mask_for
from reasoning_train.trainers.checkpoints import newest_whole, seal
from reasoning_train.trainers.losses import cross_entropy_sum
from reasoning_train.trainers.step_plan import micro_batches

History = Callable[..., None]


class Steps(Dataset):
    """Item t is the list of micro-batches (dictionaries of tensors) of optimizer step t."""

    def __init__(
        self, rows: Sequence[TrainRow], plan: Sequence[Sequence[int]], pad_id: int, *, packing: bool, capacity: int, tokens: int
    ) -> None:
        self.rows, self.plan, self.pad_id = rows, plan, pad_id
        self.packing, self.capacity, self.tokens = packing, capacity, tokens

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, t: int) -> list[dict[str, torch.Tensor]]:
        rows = [self.rows[i] for i in self.plan[t]]
        groups = micro_batches(rows, packing=self.packing, capacity=self.capacity, tokens=self.tokens)
        return [collate(group, self.pad_id) for group in groups]


class StepTrainer(Trainer):
    """Trains on `Steps`: order as planned, loss as a global weighted mean."""

    def _get_train_sampler(self, *args: Any, **kwargs: Any) -> SequentialSampler:
        assert isinstance(self.train_dataset, Steps)
        return SequentialSampler(self.train_dataset)

    def training_step(self, model: torch.nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """One optimizer step; returns the detached weighted mean loss."""
        model.train()
        batches = inputs["micro_batches"]
        total = sum(float(batch["weights"].sum()) for batch in batches)
        loss_sum = torch.zeros((), device=self.args.device)
        for batch in batches:
            batch = self._prepare_inputs(batch)
            labels, weights = batch.pop("labels"), batch.pop("weights")
            batch["attention_mask"] = mask_for(self.model, batch["attention_mask"])
            logits = model(**batch, use_cache=False).logits
            loss = cross_entropy_sum(logits, labels, weights) / total
            self.accelerator.backward(loss)
            loss_sum += loss.detach()
        return loss_sum


class SealCheckpoints(TrainerCallback):
    """Marks a checkpoint whole once all its files are on disk, and forwards the curves."""

    def __init__(self, history: History, progress: Callable[..., None]) -> None:
        self.history, self.progress = history, progress

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Seal what the trainer has just written, unless training ends here: resumed from it, it would take another step."""
        if control.should_training_stop and state.global_step < state.max_steps:
            return
        seal(Path(args.output_dir) / f"checkpoint-{state.global_step}")

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """Loss, gradient norm and learning rate to the stage's curves and progress line."""
        if logs and "loss" in logs:
            known = {k: float(logs[k]) for k in ("loss", "grad_norm", "learning_rate") if k in logs}
            self.history(step=state.global_step, **known)
            self.progress(state.global_step, state.max_steps, loss=known["loss"])


def train(model: torch.nn.Module, steps: Steps, args: TrainingArguments, callbacks: Sequence[TrainerCallback]) -> StepTrainer:
    """Train from the newest whole checkpoint in `args.output_dir`, or from the start; returns the trainer."""
    trainer = StepTrainer(model=model, args=args, train_dataset=steps, data_collator=_only_item, callbacks=list(callbacks))
    last = newest_whole(Path(trainer.args.output_dir or ""))
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    return trainer


def _only_item(items: list[list[dict[str, torch.Tensor]]]) -> dict[str, Any]:
    return {"micro_batches": items[0]}
