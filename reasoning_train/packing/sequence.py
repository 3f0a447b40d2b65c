"""Sequence packing: rows side by side, block-diagonal attention, positions restarting at 0.

The mask is explicit and four-dimensional. Leaving the blocks to `position_ids` leaks between rows on SDPA as soon as
`use_cache` is on or an all-ones mask is passed. B, T: packed rows and columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

IGNORE = -100
"""Label of tokens that carry no loss: prompt, padding, and the first token of every row."""


@dataclass(frozen=True, slots=True)
class TrainRow:
    """One tokenised example: `TrainRow(ids=(5, 9, 4, 1), weights=(0.0, 0.0, 1.0, 1.0))`; the prompt has weight 0."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    """Loss weight of predicting each token; as long as `ids`."""


def pack(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Indices of the rows in each pack, first-fit decreasing; ties keep their order. A row over capacity is a ValueError."""
    packs: list[list[int]] = []
    room: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if lengths[index] > capacity:
            raise ValueError(f"row {index} has {lengths[index]} tokens, more than the capacity of {capacity}")
        slot = next((s for s, free in enumerate(room) if free >= lengths[index]), None)
        if slot is None:
            packs.append([])
            room.append(capacity)
            slot = len(packs) - 1
        packs[slot].append(index)
        room[slot] -= lengths[index]
    return packs


def collate(packs: Sequence[Sequence[TrainRow]], pad_id: int) -> dict[str, torch.Tensor]:
    """Tensors of one forward pass.

    Returns `input_ids`, `position_ids`, `labels` [B, T] (int64), `weights` [B, T] (float32) and `attention_mask`
    [B, 1, T, T] (bool, True = may attend). `labels[b, t]` is the token that position t predicts, shifted already;
    masks go by position, never by comparing with the pad id, so pad may equal eos.
    """
    import torch

    width = max(sum(len(row.ids) for row in rows) for rows in packs)
    shape = (len(packs), width)
    ids, positions = torch.full(shape, pad_id), torch.zeros(shape, dtype=torch.long)
    labels, weights = torch.full(shape, IGNORE), torch.zeros(shape)
    block = torch.arange(-width, 0).repeat(len(packs), 1)  # padding: every column a block of its own
    for b, rows in enumerate(packs):
        at = 0
        for number, row in enumerate(rows):
            n = len(row.ids)
            ids[b, at : at + n] = torch.tensor(row.ids)
            positions[b, at : at + n] = torch.arange(n)
            labels[b, at : at + n - 1] = torch.tensor(row.ids[1:])
            weights[b, at : at + n - 1] = torch.tensor(row.weights[1:])
            block[b, at : at + n] = number
            at += n
    labels[weights == 0] = IGNORE
    causal = torch.ones(width, width, dtype=torch.bool).tril()
    mask = (block[:, :, None] == block[:, None, :]) & causal
    return {"input_ids": ids, "position_ids": positions, "labels": labels, "weights": weights, "attention_mask": mask[:, None]}


def mask_for(model: Any, mask: torch.Tensor) -> torch.Tensor:
    """`attention_mask` [B, 1, T, T] as the model's attention takes it: SDPA booleans, eager attention a term that it adds."""
    import torch

    if model.config._attn_implementation == "sdpa":
        return mask
    return torch.zeros(mask.shape, dtype=model.dtype, device=mask.device).masked_fill_(~mask, torch.finfo(model.dtype).min)
