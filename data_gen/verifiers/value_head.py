"""The value head as a torch module (its contract: heads.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from data_gen.records.scales import BOUNDS
from data_gen.verifiers.heads import HeadConfig

LANES = 64
"""The activation is always applied to this many scores at a time."""


class ValueHead(nn.Module):
    """Features `[..., width]` to values `[...]`, in float32 whatever the backbone's dtype.

    `width` is the backbone's hidden size, or the vocabulary size for `from_vocab`. Losses on logits or differences use
    `raw`, others the values.

    >>> head = ValueHead(HeadConfig(activation="tanh", scale="signed"), 64)
    >>> head(torch.zeros(2, 7, 64)).shape
    torch.Size([2, 7])
    """

    def __init__(self, config: HeadConfig, width: int, *, init_std: float = 0.02) -> None:
        """Fresh weights from N(0, `config.init_std`, else `init_std`). Biases are 0."""
        super().__init__()
        self.config, self.width = config, width
        self.dropout = nn.Dropout(config.dropout)
        self.score = _layers(config, width)
        std = init_std if config.init_std is None else config.init_std
        for layer in self.score.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=std)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Values on the head's scale."""
        return self.activate(self.raw(features))

    def raw(self, features: Tensor) -> Tensor:
        """Scores before gain, offset and activation: the output itself, or the log-odds of label `positive`."""
        with torch.autocast(features.device.type, enabled=False):
            outputs = self.score(self.dropout(features.float()))
        if self.config.labels == 1:
            return outputs[..., 0]
        positive = self.config.positive
        others = torch.cat((outputs[..., :positive], outputs[..., positive + 1 :]), -1)
        return outputs[..., positive] - others.logsumexp(-1)

    def activate(self, raw: Tensor) -> Tensor:
        """Values of scores. The activation is applied only here."""
        scores = raw * self.config.gain + self.config.offset
        match self.config.activation:
            case "sigmoid":
                return _sigmoid(scores)
            case "tanh":
                return scores.tanh()
            case "clip":
                return scores.clamp(*BOUNDS[self.config.scale])
            case "isotonic":
                return _interpolated(scores, self.config.knots)
        return scores

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Device moves follow the model (`.to(device)`), dtype casts do not: bfloat16 cannot hold a value head."""

        def moved(tensor: Tensor) -> Tensor:
            applied = fn(tensor)
            return applied if applied.dtype == torch.float32 else tensor.to(applied.device)

        return super()._apply(moved, recurse)


def _sigmoid(scores: Tensor) -> Tensor:
    """Bitwise the same for a score in any batch. On a CPU the last few scores of a tensor use another exp than whole
    vector registers do."""
    whole = nn.functional.pad(scores.flatten(), (0, -scores.numel() % LANES))
    return whole.sigmoid()[: scores.numel()].view_as(scores)


def _interpolated(scores: Tensor, knots: tuple[tuple[float, float], ...]) -> Tensor:
    """Linear between the knots, constant outside."""
    x, y = torch.tensor(knots, dtype=scores.dtype, device=scores.device).unbind(1)
    right = torch.searchsorted(x, scores.contiguous()).clamp(1, len(knots) - 1)
    share = ((scores - x[right - 1]) / (x[right] - x[right - 1])).clamp(0, 1)
    return y[right - 1] + share * (y[right] - y[right - 1])


def _layers(config: HeadConfig, width: int) -> nn.Module:
    # Float32 even where a default dtype of bfloat16 is in force. The names of the tensors are those of the models that
    # have such heads.
    options: dict[str, Any] = {"bias": config.bias, "dtype": torch.float32}
    last = nn.Linear(width, config.labels, **options)
    return nn.Sequential(nn.Linear(width, width, **options), nn.ReLU(), last) if config.kind == "two_layer" else last
