"""Log-probabilities of chosen tokens without ever holding logits of the full vocabulary for all of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

CHUNK = 512
"""Positions whose logits are held at once."""


def backbone(model: Any) -> Any:
    """The decoder below the language-model head, inside peft's wrapper too (whose adapters are part of it)."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return inner.base_model if inner.base_model is not inner else inner


def chosen_logprobs(model: Any, hidden: Tensor, labels: Tensor, chunk: int = CHUNK) -> Tensor:
    """log p of `labels` [U] under the states [U, H] that predict them: [U] float32.

    Logits are computed `chunk` positions at a time, and again in the backward pass.
    """
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    head, shape = inner.get_output_embeddings(), _Shape(inner.config)
    pieces = []
    for at in range(
        0, max(1, len(labels)), chunk
    ):  # once without labels, too: DDP waits for the gradient of every weight
        piece = hidden[at : at + chunk], labels[at : at + chunk]
        if torch.is_grad_enabled() and len(labels) > chunk:
            pieces.append(checkpoint(_logprobs, head, shape, *piece, use_reentrant=False))
        else:
            pieces.append(_logprobs(head, shape, *piece))
    return torch.cat(pieces)


class _Shape:
    """What some families do to their logits behind the head (Gemma's cap, Granite's and Cohere's scales)."""

    def __init__(self, config: Any) -> None:
        self.scale = float(getattr(config, "logit_scale", None) or 1.0) / float(
            getattr(config, "logits_scaling", None) or 1.0
        )
        self.cap = getattr(config, "final_logit_softcapping", None)

    def __call__(self, logits: Tensor) -> Tensor:
        logits = logits.float() * self.scale
        return torch.tanh(logits / self.cap) * self.cap if self.cap else logits


def _logprobs(head: nn.Module, shape: _Shape, hidden: Tensor, labels: Tensor) -> Tensor:
    logits = shape(head(hidden))
    return logits.gather(-1, labels[:, None])[:, 0] - logits.logsumexp(-1)
