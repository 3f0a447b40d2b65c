"""Attention over packed forests by FlexAttention on CUDA: block masks from the ancestry, without a mask of all pairs.

On a CPU torch runs it uncompiled, forward only and slowly, which is enough to test the mask.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from reasoning_train.packing.ancestry import Ancestry
from reasoning_train.packing.tiles import TILE, Tiles

if TYPE_CHECKING:
    import torch


def available() -> bool:
    """Whether torch has FlexAttention and there is a CUDA device to run it on."""
    import torch
    from transformers.utils import is_torch_flex_attn_available

    return torch.cuda.is_available() and bool(is_torch_flex_attn_available())


def block_mask(known: Ancestry, seen: Tiles, window: int | None) -> Any:
    """The `BlockMask` [B, 1, T, T] of every layer with this window."""
    from torch.nn.attention.flex_attention import BlockMask

    enter, leave, depth = known.enter, known.leave, known.depth

    def sees(b: Any, h: Any, q: Any, k: Any) -> Any:
        far = depth[b, q] - depth[b, k]
        seen = (enter[b, k] <= enter[b, q]) & (enter[b, q] < leave[b, k]) & (far >= 0)
        return seen if window is None else seen & (far < window)

    some, some_at, whole, whole_at = (
        tensor[:, None] for tensor in (seen.some, seen.some_at, seen.whole, seen.whole_at)
    )
    _, width = enter.shape
    return BlockMask.from_kv_blocks(some, some_at, whole, whole_at, TILE, mask_mod=sees, seq_lengths=(width, width))


def attend(
    mask: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    scale: float,
    softcap: float | None,
    dropout: float,
) -> torch.Tensor:
    """query [B, H, T, D], key and value [B, G, T, D] (G divides H) -> output [B, T, H, D]. ValueError for dropout."""

    if dropout:
        raise ValueError(f"FlexAttention has no dropout; the model asks for {dropout}")

    options = {
        "score_mod": softcap and _capped(softcap),
        "block_mask": mask,
        "scale": scale,
        "enable_gqa": query.shape[1] != key.shape[1],
    }
    return _flex(query.device.type == "cuda")(query, key, value, **options).transpose(1, 2)


def _capped(softcap: float) -> Any:
    import torch

    return lambda score, b, h, q, k: torch.tanh(score / softcap) * softcap


@cache
def _flex(compiled: bool) -> Any:
    import torch
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention) if compiled else flex_attention
