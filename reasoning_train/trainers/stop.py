"""A trainer that is asked to stop finishes its step, saves a whole checkpoint, and ends."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

from reasoning_train.process import lease, stopping
from reasoning_train.process.ranks import any_of


class StopOnSignal(TrainerCallback):
    """Must come after the callbacks that write into checkpoints and seal them."""

    stop = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop before the first step if a signal came while model and data were loaded."""
        if any_of(stopping.asked()):
            raise stopping.Stopped

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop all ranks after the same step, whichever got the signal. If training ends with this step anyway, it goes
        on to publish. A process whose work was taken over ends here, before the step's checkpoint is written."""
        lease.require()
        ends = control.should_training_stop or state.global_step >= state.max_steps
        self.stop = any_of(stopping.asked()) and not ends
        control.should_save |= self.stop

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """End the process; the checkpoint is sealed by now."""
        if self.stop:
            raise stopping.Stopped
