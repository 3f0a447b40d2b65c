"""Attention over rows that lie side by side, by FlashAttention's kernel for sequences of unequal lengths: no mask, no work between rows.

For CUDA and half precision, where the package `flash_attn` is installed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from reasoning_train.packing.forest import Forest


def available(model: Any) -> bool:
    """Whether the kernel is here, and fits the device and the numbers of a model that transformers would run with it."""
    import torch

    half = model.device.type == "cuda" and model.dtype in (torch.bfloat16, torch.float16)
    fits = model._supports_flash_attn and model._supports_attention_backend
    return half and fits and importlib.util.find_spec("flash_attn") is not None


def starts(forests: Sequence[Forest], width: int) -> torch.Tensor:
    """[S + 1] int32: where each trace begins among the columns of all rows, one row after the other, and their end. Padding is one, too.

    The runs of a forest must be whole traces (`grow(..., share=False)`).
    """
    import torch

    found = [row * width + run.start for row, forest in enumerate(forests) for run in forest.runs]
    found += [row * width + forest.width for row, forest in enumerate(forests) if forest.width < width]
    return torch.tensor([*sorted(found), len(forests) * width], dtype=torch.int32)


def attend(
    begin: torch.Tensor,
    window: int | None,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    scale: float,
    softcap: float | None,
    dropout: float,
) -> torch.Tensor:
    """query [B, H, T, D], key and value [B, G, T, D] (G divides H): the attention's output [B, T, H, D]."""
    rows, _, width, _ = query.shape
    longest = int((begin[1:] - begin[:-1]).max())
    flat = (states.transpose(1, 2).flatten(0, 1) for states in (query, key, value))
    out = kernel()(
        *flat, cu_seqlens_q=begin, cu_seqlens_k=begin, max_seqlen_q=longest, max_seqlen_k=longest, dropout_p=dropout, softmax_scale=scale,
        causal=True, window_size=(-1, -1) if window is None else (window - 1, 0), softcap=softcap or 0.0,
    )  # fmt: skip
    return out.unflatten(0, (rows, width))


def kernel() -> Any:
    """`flash_attn_varlen_func`: query [tokens, H, D], key and value [tokens, G, D], output [tokens, H, D]."""
    from flash_attn import flash_attn_varlen_func

    return flash_attn_varlen_func
