"""Attention for sequence packing by torch's variable-length FlashAttention: no mask, and no work between traces.

It needs CUDA (Ampere or newer) and half precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from reasoning_train.packing.forest import Forest

AMPERE = (8, 0)
"""The lowest compute capability that the kernel supports."""


def available(model: Any, *, bf16: bool) -> bool:
    """Whether the kernel fits a transformers model's device, precision (`bf16`: passes compute in bfloat16) and
    attention."""
    import torch

    if model.device.type != "cuda" or not (bf16 or model.dtype in (torch.bfloat16, torch.float16)):
        return False
    config = model.config.get_text_config()
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    plain = not getattr(config, "attn_logit_softcapping", None) and not getattr(config, "attention_dropout", 0)
    fits = (
        plain and width % 8 == 0 and width <= 256 and model._supports_flash_attn and model._supports_attention_backend
    )
    return (
        fits
        and torch.cuda.get_device_capability(model.device) >= AMPERE
        and torch.backends.cuda.is_flash_attention_available()
    )


def starts(forests: Sequence[Forest], width: int) -> torch.Tensor:
    """[S + 1] int32: the start of each trace in the flattened columns of all rows, and their end. The padding of a row
    counts as a trace.

    The runs of a forest must be whole traces (`grow(..., share=False)`).
    """
    import torch

    found = [row * width + run.start for row, forest in enumerate(forests) for run in forest.runs]
    found += [row * width + forest.width for row, forest in enumerate(forests) if forest.width < width]
    return torch.tensor([*sorted(found), len(forests) * width], dtype=torch.int32)


def longest(begin: torch.Tensor) -> int:
    """Tokens of the longest trace. It waits for the device, so call it once per pass."""
    return int((begin[1:] - begin[:-1]).max())


def attend(
    begin: torch.Tensor,
    most: int,
    window: int | None,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    scale: float,
    softcap: float | None,
    dropout: float,
) -> torch.Tensor:
    """query [B, H, T, D], key and value [B, G, T, D] (G divides H) -> output [B, T, H, D]. `most`: tokens of the
    longest trace."""
    if softcap or dropout:
        raise ValueError(
            f"FlashAttention's kernel has neither a cap of scores nor dropout; the model asks for {softcap}, {dropout}"
        )
    rows, heads, width, _ = query.shape
    flat = (states.transpose(1, 2).flatten(0, 1) for states in (query, key, value))
    seen = (-1 if window is None else window - 1, 0)
    out = kernel()(*flat, begin, begin, most, most, scale=scale, window_size=seen, enable_gqa=heads != key.shape[1])
    return out.unflatten(0, (rows, width))


def kernel() -> Any:
    """`varlen_attn`: query [tokens, H, D], key and value [tokens, G, D], output [tokens, H, D]."""
    from torch.nn.attention.varlen import varlen_attn

    return varlen_attn
