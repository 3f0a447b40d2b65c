"""Stops training when greedy decoding reaches an accuracy on a dev split. Models go from useless to perfect within
a few hundred steps."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from data_gen.programs.solve import solve_greedily
from reasoning_train.store.inputs import load_task, read_problems

if TYPE_CHECKING:
    from reasoning_train.api.stage import Context
    from reasoning_train.models.policy import Policy
    from reasoning_train.trainers.config import Until


class StopWhenGood(TrainerCallback):
    """`reached`: the accuracy that stopped training, None until then. `last`: the latest accuracy."""

    def __init__(self, until: Until, policy: Policy, ctx: Context) -> None:
        self.until, self.policy, self.ctx = until, policy, ctx
        source = ctx.input(until.problems)
        self.task = load_task(source)
        self.problems = list(itertools.islice(read_problems(source), until.limit))
        self.reached: float | None = None
        self.last = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Evaluate here if training was killed after its last step: a resumed run takes no further step."""
        if state.global_step == state.max_steps:
            self.on_step_end(args, state, control, model=model)

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Evaluate every `every` steps; stop training once the accuracy is reached."""
        if state.global_step % self.until.every or state.global_step < self.until.start:
            return
        self.last = self._accuracy(model)
        self.ctx.history(step=state.global_step, dev_accuracy=self.last)
        if self.last >= self.until.accuracy:
            self.reached = self.last
            self.ctx.metric("dev_accuracy", self.last)
            control.should_training_stop = True

    def _accuracy(self, model: Any) -> float:
        from reasoning_train.models.engine import in_process

        model.eval()
        engine = in_process(self.policy, model=model.model)
        solved = solve_greedily(engine, self.problems, self.policy.codec, self.task, max_tokens=self.until.max_tokens)
        model.train()
        return sum(solved) / len(self.problems)
