"""Local layers that cut their window out by column (GPT-Neo): made to count the positions that a mask shows them.

GPT-Neo's local layers take a band of the columns before the last one. In a cache whose rows end at different columns,
and in packed trees, columns are no positions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

WINDOW = "local_window"
"""Attribute of a settled layer: how many positions it sees, the token's own included."""


def settle_local_layers(model: Any) -> Any:
    """Give the local layers of a GPT-Neo model a window over the visible columns, not a band. Returns the model.

    What a token sees is one path, so the k-th visible column from the right lies k - 1 positions before it.
    """
    for module in model.modules():
        if getattr(module, "attention_type", None) == "local" and isinstance(getattr(module, "bias", None), Tensor):
            if not hasattr(module, WINDOW):
                setattr(module, WINDOW, int(module.bias[0, 0, -1].sum()))
                module.register_forward_pre_hook(_narrow_mask, with_kwargs=True)
            module.bias = torch.ones_like(module.bias).tril()
    return model


def near(visible: Tensor, window: int) -> Tensor:
    """The last `window` visible entries of every row of a bool tensor.

    >>> near(torch.tensor([[True, False, True, True, False]]), 2).tolist()
    [[False, False, True, True, False]]
    """
    rank = visible.flip(-1).cumsum(-1).flip(-1)
    return visible & (rank <= window)


def _narrow_mask(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    mask = kwargs["attention_mask"]
    seen = near(mask >= 0, getattr(module, WINDOW))
    return args, {**kwargs, "attention_mask": mask.masked_fill(~seen, torch.finfo(mask.dtype).min)}
