"""Holds rows out of training and evaluates them during it, for early stopping and to publish the best step."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback

from data_gen.models.safetensors_header import torn
from reasoning_train.api.stage import gate
from reasoning_train.packing.plan import by_group
from reasoning_train.packing.rows import Row
from reasoning_train.process import lease
from reasoning_train.process.ranks import rank, summed
from reasoning_train.store.state_files import read_json, write_json
from reasoning_train.trainers.checkpoints import checkpoints
from reasoning_train.trainers.weights import FILE, load_trained, save_trained

if TYPE_CHECKING:
    from reasoning_train.api.stage import Context
    from reasoning_train.trainers.average import Average
    from reasoning_train.trainers.base import StepBatches
    from reasoning_train.trainers.config import HeldOut
    from reasoning_train.trainers.objective import Objective

EVALUATIONS = "evaluations.json"
_Evaluations = list[tuple[int, float]]


def hold_out(rows: Sequence[Row], share: float, seed: int) -> set[int]:
    """Indices of the rows to hold out. Groups are held out whole, so that no problem is on both sides. GateError if all
    rows are of one group."""
    groups = by_group(rows)
    gate(
        len(groups) > 1,
        f"held_out: all {len(rows)} rows belong to one problem, so none can be held out of training. Leave "
        "`held_out` out.",
    )
    n = min(len(groups) - 1, max(1, round(share * len(groups))))
    return {i for group in random.Random(f"{seed}/held out").sample(groups, n) for i in group}


class Watch(TrainerCallback):
    """Evaluates the rows of `dev` and keeps the best weights so far in the stage's partial folder, which survives a
    kill."""

    def __init__(
        self,
        config: HeldOut,
        objective: Objective,
        training: StepBatches,
        dev: StepBatches,
        ctx: Context,
        average: Average | None,
    ) -> None:
        self.config, self.objective, self.training, self.dev = config, objective, training, dev
        self.ctx, self.folder, self.average = ctx, ctx.partial / "best", average
        self.evaluations: list[tuple[int, float]] = []
        """(step, loss), in order."""

    @property
    def best(self) -> tuple[int, float]:
        """Step and loss of the best evaluation; the first of equal ones."""
        return min(self.evaluations, key=lambda evaluation: evaluation[1])

    def lost(self) -> bool:
        """Whether evaluations before the newest checkpoint, or the best weights, are damaged or gone. What is to be
        published may then be gone, and training begins again."""
        known = {step for step, _ in read_json(self.folder / EVALUATIONS, _Evaluations) or []}
        reached = max(
            (int(path.name.partition("-")[2]) for path in checkpoints(self.ctx.partial / "trainer")), default=0
        )
        if not known.issuperset(range(self.config.every, reached + 1, self.config.every)):
            return True
        best = self.folder / FILE
        return bool(known) and self.config.keep == "best" and (not best.is_file() or bool(torn(best)))

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Load earlier evaluations. Those after the checkpoint that training resumes from are repeated; from the start
        all are, and what is in the folder, perhaps damaged, makes way."""
        if rank() == 0 and not state.global_step:
            lease.require()
            shutil.rmtree(self.folder, ignore_errors=True)
        known = read_json(self.folder / EVALUATIONS, _Evaluations) or []
        self.evaluations = [(step, loss) for step, loss in known if step <= state.global_step]

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Evaluate, record the result, and stop training if patience runs out."""
        if state.global_step % self.config.every and state.global_step < state.max_steps:
            return
        with self.average.applied() if self.average else nullcontext():
            self.dev.attention = self.training.attention
            found = means(self.objective, self.dev, args.device)
            loss = sum(term.weight * found[name] for name, term in self.objective.losses.items())
            self.evaluations.append((state.global_step, loss))
            if rank() == 0:
                self._remember()
        self.ctx.history(
            step=state.global_step, dev_loss=loss, **{f"dev_{name}": value for name, value in found.items()}
        )
        since = len(self.evaluations) - 1 - self.evaluations.index(self.best)
        if self.config.patience is not None and since >= self.config.patience:
            control.should_training_stop = True

    def _remember(self) -> None:
        lease.require()
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.config.keep == "best" and self.best == self.evaluations[-1]:
            save_trained(self.objective, self.folder / "partial")
            os.replace(self.folder / "partial" / FILE, self.folder / FILE)
        write_json(self.folder / EVALUATIONS, self.evaluations)

    def settle(self) -> None:
        """Load the best weights into the model and record their step."""
        step, loss = self.best
        if self.config.keep == "best":
            load_trained(self.objective, self.folder)
        self.ctx.metric(
            "held_out",
            {
                "best_step": step,
                "best_loss": loss,
                "last_loss": self.evaluations[-1][1],
                "evaluations": len(self.evaluations),
            },
        )


@torch.no_grad()
def means(objective: Objective, steps: StepBatches, device: Any) -> dict[str, float]:
    """The mean of every loss term and watched figure over all rows of `steps` and all ranks."""
    totals, sums = Counter[str](), dict[str, torch.Tensor]()
    objective.eval()
    for t in range(len(steps)):
        item = steps[t]
        totals.update(objective.normalizers(item["rows"]))
        for batch in item["batches"]:
            found = objective({name: tensor.to(device) for name, tensor in batch.items()})
            sums = {name: sums.get(name, 0.0) + value.double() for name, value in found.items()}
    objective.train()
    return {name: float(value) / (totals[name] or 1.0) for name, value in summed(sums).items()}
