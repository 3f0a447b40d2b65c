"""Adapters in two forms: beside the weights, as peft computes them, and within them, as merging does."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from reasoning_train.trainers.config import Lora, Training
from reasoning_train.trainers.objective import Objective
from reasoning_train.trainers.setup import prepare


class Within(nn.Module):
    """W + s B A as one weight, made anew for every product."""

    def __init__(self, a: nn.Parameter, b: nn.Parameter, scale: float) -> None:
        super().__init__()
        self.a, self.b, self.scale = a, b, scale

    def forward(self, weight: Tensor) -> Tensor:
        """The merged weight."""
        return weight + self.scale * self.b @ self.a


def low_rank(model: Any, *, within: bool) -> Any:
    """The model with random adapters that have an effect from the beginning; the same numbers in either form."""
    wrapped = prepare(model, Training(learning_rate=1.0, lora=Lora(r=4, alpha=8)))
    torch.manual_seed(1)
    for name, parameter in wrapped.named_parameters():
        if "lora_" in name:
            nn.init.normal_(parameter, std=0.2)
    if not within:
        return wrapped
    found = {name: _within(layer) for name, layer in wrapped.named_modules() if hasattr(layer, "lora_A")}
    plain = wrapped.unload()
    for name, adapter in found.items():
        parametrize.register_parametrization(
            plain.get_submodule(name.removeprefix("base_model.model.")), "weight", adapter
        )
    return plain


def _within(layer: Any) -> Within:
    return Within(layer.lora_A["default"].weight, layer.lora_B["default"].weight, layer.scaling["default"])


def merged(objective: Objective) -> Objective:
    """The objective with plain weights, whichever form its adapters had, if any."""
    if hasattr(objective.model, "merge_and_unload"):
        objective.model = objective.model.merge_and_unload()
    for module in list(objective.model.modules()):
        if parametrize.is_parametrized(module):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
    return objective
