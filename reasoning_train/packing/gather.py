"""Attention over packed forests that gathers the keys each block of queries can see. It needs no mask of all pairs and
computes no token twice.

Gathering copies keys; a dense mask scores masked pairs. On a CPU the copies are far cheaper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reasoning_train.packing.ancestry import Ancestry, ancestry
from reasoning_train.packing.blocks import Block, cut, group
from reasoning_train.packing.scores import scored

if TYPE_CHECKING:
    import torch

    from reasoning_train.packing.forest import Forest


@dataclass(frozen=True, slots=True)
class Call:
    """One attention call over n padded blocks. Indices are into the flattened [B * T]."""

    queries: torch.Tensor
    """[n, Q]"""
    keys: torch.Tensor
    """[n, K]; for chains the same as `queries`."""
    mask: torch.Tensor
    """[n, 1, Q, K] bool: True = may attend; empty for chains, which are causal."""


@dataclass(frozen=True, slots=True)
class Gathering:
    """The attention calls of each layer with one window, for one forward pass."""

    calls: tuple[Call, ...]
    home: torch.Tensor
    """[B * T]: index of each column's output among those of all calls, padding included."""


def gathering(forests: Sequence[Forest], width: int, window: int | None) -> Gathering:
    """The gathering of packed rows of `width` columns. Padding columns get the output at index 0."""
    import torch

    known = ancestry(forests, width)
    blocks = [_shifted(block, b * width) for b, forest in enumerate(forests) for block in cut(forest, window)]
    home, calls, at = torch.zeros(len(forests) * width, dtype=torch.long), list[Call](), 0
    for members in group(blocks):
        own = _padded([blocks[i].own for i in members])
        chain = blocks[members[0]].chain
        keys = own if chain else _padded([blocks[i].above + blocks[i].own for i in members])
        mask = torch.ones(0, dtype=torch.bool) if chain else _mask(known, own, keys, window)
        real = own >= 0
        home[own[real]] = at + torch.arange(own.numel()).view_as(own)[real]
        at += own.numel()
        calls.append(Call(own.clamp_min(0), keys.clamp_min(0), mask))
    return Gathering(tuple(calls), home)


def _shifted(block: Block, by: int) -> Block:
    return Block(tuple(c + by for c in block.own), tuple(c + by for c in block.above), block.chain)


def _padded(rows: Sequence[tuple[int, ...]]) -> torch.Tensor:
    """[n, longest], filled with -1."""
    import torch

    padded = torch.full((len(rows), max(map(len, rows))), -1)
    for row, columns in enumerate(rows):
        padded[row, : len(columns)] = torch.tensor(columns)
    return padded


def _mask(known: Ancestry, queries: torch.Tensor, keys: torch.Tensor, window: int | None) -> torch.Tensor:
    q, k = queries[:, :, None], keys[:, None, :]
    seen = known.sees(q.clamp_min(0), k.clamp_min(0), window) & (k >= 0)
    return (seen | (q < 0))[:, None]  # a padded query sees everything: a softmax over nothing is NaN


def attend(
    gathered: Gathering,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    scale: float,
    softcap: float | None,
    dropout: float,
) -> torch.Tensor:
    """query [B, H, T, D], key and value [B, G, T, D] (G divides H) -> output [B, T, H, D]."""
    import torch

    batch, heads, width, _ = query.shape
    flat = [states.transpose(1, 2).reshape(batch * width, -1) for states in (query, key, value)]
    outputs = []
    for call in gathered.calls:
        q, k, v = (
            _gathered(states, index, whole.shape[1])
            for states, index, whole in zip(
                flat, (call.queries, call.keys, call.keys), (query, key, value), strict=True
            )
        )
        output = scored(
            q, k, v, call.mask if call.mask.numel() else None, scale=scale, softcap=softcap, dropout=dropout
        )
        outputs.append(output.transpose(1, 2).reshape(-1, heads * value.shape[-1]))
    return torch.nn.functional.embedding(gathered.home, torch.cat(outputs)).view(batch, width, heads, -1)


def _gathered(states: torch.Tensor, index: torch.Tensor, heads: int) -> torch.Tensor:
    """[n, heads, length, D] from flat states [B * T, heads * D]. The backward pass of an embedding is far faster than
    that of indexing."""
    import torch

    return torch.nn.functional.embedding(index, states).view(*index.shape, heads, -1).transpose(1, 2)
