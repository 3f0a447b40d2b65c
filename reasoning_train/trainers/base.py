"""A `transformers.Trainer` whose dataset item is one whole optimizer step and whose checkpoints are whole or absent.

Every rank cuts the step into the same micro-batches and takes every W-th of them (W: world size). It adds up loss
*sums*, divided by the normalizer of the whole step, so that accumulation, packing, padding and world size cannot change
the loss.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments

from data_gen.errors import UserError
from data_gen.models.finite import not_finite
from reasoning_train.packing.batch import collate, silenced
from reasoning_train.packing.plan import Packing, micro_batches
from reasoning_train.packing.rows import Row
from reasoning_train.packing.tree_attention import ForestAttention
from reasoning_train.process.ranks import any_of, barrier, rank, summed, world_size
from reasoning_train.trainers.checkpoints import seal, to_resume
from reasoning_train.trainers.objective import Objective
from reasoning_train.trainers.readable import WINDOW, loading
from reasoning_train.trainers.stop import StopOnSignal
from reasoning_train.trainers.weights import load_trained, save_trained

History = Callable[..., None]
Step = dict[str, Any]
"""`rows`: all rows of the step, on every rank. `batches`: this rank's forward passes; every rank has as many."""


class StepBatches(Dataset):
    """Item t is this rank's share of optimizer step t."""

    def __init__(
        self,
        rows: Sequence[Row],
        plan: Sequence[Sequence[int]],
        pad_id: int,
        *,
        packing: Packing,
        capacity: int,
        tokens: int,
    ) -> None:
        self.rows, self.plan, self.pad_id = rows, plan, pad_id
        self.packing, self.capacity, self.tokens = packing, capacity, tokens
        self.attention: ForestAttention | None = None
        """Set while the model runs with forest attention."""

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, t: int) -> Step:
        rows = [self.rows[i] for i in self.plan[t]]
        groups = micro_batches(rows, packing=self.packing, capacity=self.capacity, tokens=self.tokens)
        world = world_size()
        mine = [self._collate(group) for group in groups[rank() :: world]]
        while len(mine) * world < len(groups):
            mine.append(silenced(self._collate(groups[0])))
        return {"rows": rows, "batches": mine}

    def _collate(self, packs: Sequence[Sequence[Row]]) -> dict[str, torch.Tensor]:
        return collate(packs, self.pad_id, share=self.packing == "tree", attention=self.attention)


class StepTrainer(Trainer):
    """Trains an `Objective` on `StepBatches` in the planned order. Each loss term is a weighted mean over all ranks."""

    def get_train_dataloader(self) -> DataLoader:
        """Yields every step in order, on every rank. `StepBatches` picks the rank's share."""
        assert isinstance(self.train_dataset, StepBatches)
        return DataLoader(self.train_dataset, batch_size=1, shuffle=False, collate_fn=_only_item)

    def training_step(self, model: torch.nn.Module, inputs: Step, num_items_in_batch: Any = None) -> torch.Tensor:
        """Run the backward passes of one optimizer step; returns the detached loss over all ranks."""
        model.train()
        objective: Objective = self.accelerator.unwrap_model(model)
        totals = objective.normalizers(inputs["rows"])
        sums = dict.fromkeys(totals, torch.zeros((), device=self.args.device))
        for number, batch in enumerate(inputs["batches"]):
            found = model({name: tensor.to(self.args.device) for name, tensor in batch.items()})
            sums = {name: sums[name] + found[name].detach() for name in sums}
            terms = [loss.weight * found[name] / (totals[name] or 1.0) for name, loss in objective.losses.items()]
            self._backward(model, torch.stack(terms).sum() * world_size(), last=number == len(inputs["batches"]) - 1)
        means = {name: value / (totals[name] or 1.0) for name, value in summed(sums).items()}
        for name, value in means.items():
            if not torch.isfinite(value):
                raise blown_up(f"the loss {name!r} is {float(value)}", self.state.global_step + 1)
        self.window = [*self.window, {name: float(value) for name, value in means.items()}]
        return torch.stack([loss.weight * means[name] for name, loss in objective.losses.items()]).sum()

    def _backward(self, model: torch.nn.Module, loss: torch.Tensor, *, last: bool) -> None:
        """Run one backward pass. The last pass averages gradients over ranks; under DeepSpeed it also takes the
        optimizer step."""
        if not self.is_deepspeed_enabled:
            with contextlib.nullcontext() if last or world_size() == 1 else model.no_sync():  # type: ignore[operator]
                loss.backward()
            return
        engine = self.accelerator.deepspeed_engine_wrapped.engine
        engine.set_gradient_accumulation_boundary(last)
        engine.backward(loss)
        if last:
            self._norm = _gradient_norm(engine)
            engine.step()

    def _clip_grad_norm(self, model: torch.nn.Module) -> Any:
        return None if self.is_deepspeed_enabled else super()._clip_grad_norm(model)

    def _get_grad_norm(self, model: torch.nn.Module, grad_norm: Any = None) -> Any:
        if not self.is_deepspeed_enabled:
            return super()._get_grad_norm(model, grad_norm)
        if self._norm is not None:
            return self._norm
        return self.accelerator.deepspeed_engine_wrapped.get_global_grad_norm()

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log the loss, its terms if there are several, and their watched figures, as means over the steps since the
        last call."""
        if "loss" in logs and self.window:
            losses: Any = self._objective.losses
            mean = {name: sum(step[name] for step in self.window) / len(self.window) for name in self.window[0]}
            # The mean of transformers loses the steps before a resumption.
            logs["loss"] = sum(loss.weight * mean[name] for name, loss in losses.items())
            if len(mean) > 1:
                logs.update({f"loss_{name}" if name in losses else name: value for name, value in mean.items()})
            self.window = []
        super().log(logs, start_time)

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        """Write the trained tensors, tied ones once. DeepSpeed writes files of its own."""
        if self.args.should_save and output_dir is not None:
            Path(output_dir).mkdir(parents=True, exist_ok=True)
            (Path(output_dir) / WINDOW).write_text(json.dumps(self.window), encoding="utf-8")
            if not self.is_deepspeed_enabled:
                save_trained(self._objective, Path(output_dir))

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save into a checkpoint. Under DeepSpeed the trainer then writes the weights to DeepSpeed's files."""
        self._save(output_dir)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: torch.nn.Module | None = None) -> None:
        load_trained(self._objective, Path(resume_from_checkpoint))

    @property
    def _objective(self) -> torch.nn.Module:
        assert self.model is not None
        return self.model

    window: list[dict[str, float]] = []
    _norm: float | None = None


def _gradient_norm(engine: Any) -> float | None:
    """The norm of averaged gradients before clipping under ZeRO-0, which does not report it; None for other stages."""
    if engine.zero_optimization_stage() > 0:
        return None
    gradients = [p.grad.norm() for p in engine.module.parameters() if p.grad is not None]
    return float(torch.stack(gradients).norm())


class SealCheckpoints(TrainerCallback):
    """Marks a checkpoint whole once all its files are on disk, and forwards the curves."""

    def __init__(self, history: History, progress: Callable[..., None]) -> None:
        self.history, self.progress = history, progress

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Seal the checkpoint just written, unless training stops early here: a resumed run would take another step."""
        if control.should_training_stop and state.global_step < state.max_steps:
            return
        barrier()  # every rank has written its part
        if rank() == 0:
            seal(Path(args.output_dir) / f"checkpoint-{state.global_step}", world=world_size())
        barrier()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """Send loss, its terms, watched figures, gradient norm and learning rate to the stage's curves, and the loss to
        its progress line."""
        if logs and "loss" in logs:
            known = {k: float(v) for k, v in logs.items() if k != "epoch"}
            self.history(step=state.global_step, **known)
            self.progress(state.global_step, state.max_steps, loss=known["loss"])


def train(
    objective: Objective,
    steps: StepBatches,
    args: TrainingArguments,
    callbacks: Sequence[TrainerCallback],
    *,
    afresh: bool = False,
) -> StepTrainer:
    """Train from the newest whole checkpoint in `args.output_dir`, or from the start; returns the trainer. `afresh`:
    the checkpoints are removed, because what belongs to them is lost."""
    if afresh:
        if rank() == 0:
            shutil.rmtree(args.output_dir or "", ignore_errors=True)
        barrier()
    trainer = StepTrainer(
        model=objective,
        args=args,
        train_dataset=steps,
        data_collator=_only_item,
        callbacks=[*callbacks, StopOnSignal()],
    )
    last = to_resume(Path(trainer.args.output_dir or ""))
    if last:
        trainer.window = json.loads((last / WINDOW).read_text(encoding="utf-8"))
    with objective.packed(steps.packing) as steps.attention, loading(last):
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    refuse_blown_up(trainer)
    return trainer


def refuse_blown_up(trainer: Trainer) -> None:
    """UserError if the last step left weights that are no numbers. Earlier steps show it in their loss."""
    assert trainer.model is not None
    name = not_finite(trainer.model)
    if any_of(bool(name)):
        what = f"the weight {name!r}" if name else "a weight that another process holds"
        raise blown_up(f"{what} is not finite", trainer.state.global_step)


def blown_up(what: str, step: int) -> UserError:
    """The error of a training that left the range of numbers."""
    return UserError(
        f"Training blew up: at step {step} {what}. Nothing was published. Use a lower learning_rate, a warmup or a "
        "lower max_grad_norm; the curves in the run's report show where it began."
    )


def _only_item(items: list[Step]) -> Step:
    return items[0]
