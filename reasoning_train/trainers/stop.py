"""A trainer that is asked to stop saves a whole checkpoint after the step in hand, then ends."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

from reasoning_train.process import stopping
from reasoning_train.process.ranks import any_of


class StopOnSignal(TrainerCallback):
    """Comes after the callbacks that write into checkpoints and seal them."""

    stop = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """A signal that came while model and data were read costs no step."""
        if any_of(stopping.asked()):
            raise stopping.Stopped

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """All ranks stop after the same step, whichever of them heard the signal; one that ends training anyway goes on
        to publish."""
        ends = control.should_training_stop or state.global_step >= state.max_steps
        self.stop = any_of(stopping.asked()) and not ends
        control.should_save |= self.stop

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The checkpoint is sealed by now."""
        if self.stop:
            raise stopping.Stopped
