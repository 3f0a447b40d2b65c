"""Log-probabilities, entropies and likeliest tokens, computed in chunks so that full-vocabulary logits never exist for
all positions at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from data_gen.checkpoints import unwrapped
from reasoning_train.trainers.losses.base import Needs

NOTHING = Needs()
CHUNK = 512
"""Positions whose logits are held at once."""


def backbone(model: Any) -> Any:
    """The decoder below the language-model head, adapters included, also if peft wraps the model."""
    inner = unwrapped(model)
    return inner.base_model if inner.base_model is not inner else inner


def read_logits(
    model: Any,
    hidden: Tensor,
    labels: Tensor,
    *,
    needs: Needs = NOTHING,
    ids: Mapping[str, Tensor] | None = None,
    chunk: int = CHUNK,
) -> dict[str, Tensor]:
    """What losses read from the logits at the hidden states [U, H] that predict `labels` [U], in float32: `chosen` [U],
    the log-probability of the label; `entropy` [U]; `top.ids` and `top.logprobs` [U, k]; `ids.NAME` [U, K], the
    log-probabilities of `ids[NAME]` [U, K]. All but `chosen` are computed only if `needs` names them.

    Logits are computed `chunk` positions at a time and recomputed in the backward pass.
    """
    inner = unwrapped(model)
    asked = {name: (ids or {})[name] for name in needs.ids}
    reading = _Reading(inner.get_output_embeddings(), _Shape(inner.config.get_text_config(decoder=True)), needs)
    pieces = []
    # one pass even without labels: DDP waits for the gradient of every weight
    for at in range(0, max(1, len(labels)), chunk):
        piece = [tensor[at : at + chunk] for tensor in (hidden, labels, *asked.values())]
        if torch.is_grad_enabled() and len(labels) > chunk:
            pieces.append(checkpoint(reading, *piece, use_reentrant=False))
        else:
            pieces.append(reading(*piece))
    return {name: torch.cat(parts) for name, parts in zip(reading.names, zip(*pieces, strict=True), strict=True)}


class _Shape:
    """Scales and caps that some families apply to logits after the head (Gemma's cap, Granite's and Cohere's
    scales)."""

    def __init__(self, config: Any) -> None:
        self.scale = float(getattr(config, "logit_scale", None) or 1.0) / float(
            getattr(config, "logits_scaling", None) or 1.0
        )
        self.cap = getattr(config, "final_logit_softcapping", None)

    def __call__(self, logits: Tensor) -> Tensor:
        logits = logits.float() * self.scale
        return torch.tanh(logits / self.cap) * self.cap if self.cap else logits


class _Reading:
    """Computes and reads the logits of one chunk; they are freed when it returns."""

    def __init__(self, head: nn.Module, shape: _Shape, needs: Needs) -> None:
        self.head, self.shape, self.needs = head, shape, needs
        named = [*(["entropy"] if needs.entropy else []), *(["top.ids", "top.logprobs"] if needs.top else [])]
        self.names = ["chosen", *named, *(f"ids.{name}" for name in needs.ids)]

    def __call__(self, hidden: Tensor, labels: Tensor, *ids: Tensor) -> tuple[Tensor, ...]:
        """Results in the order of `names`. hidden [C, H], labels [C], each of ids [C, K]."""
        logits = self.shape(self.head(hidden))
        norm = logits.logsumexp(-1)
        found = [logits.gather(-1, labels[:, None])[:, 0] - norm]
        if self.needs.entropy:
            logp = logits - norm[:, None]
            found.append(-(logp.exp() * logp).sum(-1))
        if self.needs.top:
            largest = logits.topk(self.needs.top)
            found += [largest.indices, largest.values - norm[:, None]]
        return (*found, *(logits.gather(-1, some) - norm[:, None] for some in ids))
