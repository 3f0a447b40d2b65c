"""An exponential moving average of the trained weights, evaluated and published in their place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import TrainerCallback

from reasoning_train.process.ranks import rank
from reasoning_train.trainers.weights import put, trained

FILE = "average.safetensors"


class Average(TrainerCallback):
    """After every step a <- d a + (1 - d) p, starting from the initial weights. Every checkpoint holds it."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module, self.decay = module, decay
        self.weights: dict[str, Tensor] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start from the current weights, or load the average from the checkpoint that training resumes from."""
        self.weights = {name: p.detach().clone() for name, p in trained(self.module)}
        if state.global_step:
            from safetensors.torch import load_file

            saved = load_file(Path(args.output_dir) / f"checkpoint-{state.global_step}" / FILE)
            self.weights = {name: saved[name].to(mine.device) for name, mine in self.weights.items()}

    @torch.no_grad()
    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Update the average."""
        for name, p in trained(self.module):
            self.weights[name].lerp_(p, 1 - self.decay)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Write the average into the checkpoint before it is sealed."""
        if rank() == 0:
            from safetensors.torch import save_file

            kept = {name: tensor.cpu().contiguous() for name, tensor in self.weights.items()}
            save_file(kept, Path(args.output_dir) / f"checkpoint-{state.global_step}" / FILE)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Use the averaged weights inside the `with` block."""
        own = {name: p.detach().clone() for name, p in trained(self.module)}
        self.settle()
        try:
            yield
        finally:
            put(self.module, own, "a copy")

    def settle(self) -> None:
        """Copy the averaged weights into the module."""
        put(self.module, self.weights, "the average")
