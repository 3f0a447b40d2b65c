"""FlexAttention over trees and FlashAttention over rows, compiled and backward, against a mask of all pairs."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from reasoning_train.packing import varlen
from reasoning_train.packing.batch import collate
from reasoning_train.packing.forest import grow
from reasoning_train.packing.rows import Row
from reasoning_train.packing.tree_attention import Backend, ForestAttention, forest_attention, row_attention
from tests.reasoning_train.packing.tiny import FAMILIES, model, trace

WIDTH = 64
"""Of a head: the kernels want 16 at least."""
Found = tuple[torch.Tensor, torch.Tensor]


def net(family: str, dtype: torch.dtype = torch.float32) -> Any:
    """On the device, with heads as wide as kernels want them."""
    return model(family, "eager", head_dim=WIDTH).to("cuda", dtype)


def paths(seed: int, n: int = 40, step: int = 24) -> list[tuple[int, ...]]:
    """Of one random tree, some hundreds of tokens."""
    rng = random.Random(seed)
    pool = [tuple(rng.randrange(1, 23) for _ in range(20))]
    for _ in range(n):
        stem = rng.choice(pool)[:90]
        pool.append((*stem, *(rng.randrange(1, 23) for _ in range(rng.randint(1, step)))))
    return pool


def passed(made: Any, attention: ForestAttention, packs: list[list[tuple[int, ...]]], *, share: bool) -> Found:
    """Log-probabilities of all paths and the gradient of their sum of squares."""
    rows = [[Row((trace(*ids),)) for ids in pack] for pack in packs]
    forests = [grow([row.traces[0] for row in pack], share=share) for pack in rows]
    batch = collate(rows, 0, share=share)
    batch |= attention.tensors(forests, batch["input_ids"].shape[1])
    batch = {name: tensor.cuda() for name, tensor in batch.items()}
    where = {"input_ids": batch["input_ids"], "position_ids": batch["position_ids"]}
    logits = made(**where, use_cache=False, **attention.arguments(batch)).logits.float()
    sums = []
    for b, (pack, forest) in enumerate(zip(packs, forests, strict=True)):
        for ids, columns in zip(pack, forest.columns, strict=True):
            logp = logits[b, columns].log_softmax(-1)
            sums.append(logp[torch.arange(len(ids) - 1), torch.tensor(ids[1:])].sum())
    total = torch.stack(sums)
    made.zero_grad()
    (total / 10).square().mean().backward()
    return total.detach(), torch.cat([p.grad.float().flatten() for p in made.parameters() if p.grad is not None])


def off(found: Found, wanted: Found) -> tuple[float, float]:
    """Relative errors."""
    return tuple(float((a - b).norm() / b.norm()) for a, b in zip(found, wanted, strict=True))  # type: ignore[return-value]


@pytest.mark.parametrize("backend", ["flex", "gather"])
@pytest.mark.parametrize("family", FAMILIES)
def test_trees_in_float32(family: str, backend: Backend) -> None:
    made, packs = net(family), [paths(0), paths(1, n=5)]
    wanted = passed(made, forest_attention(made, "dense"), packs, share=True)
    found = passed(made, forest_attention(made, backend), packs, share=True)
    assert max(off(found, wanted)) < 1e-5


def test_trees_choose_flex() -> None:
    assert forest_attention(net("llama")).backend == "flex"


def noise(family: str, backend: Backend, *, share: bool) -> tuple[tuple[float, float], tuple[float, float]]:
    """Errors in bfloat16 of a backend and of the mask of all pairs, both against float32."""
    packs = [paths(0), paths(1, n=5)]
    whole, half = net(family), net(family, torch.bfloat16)
    wanted = passed(whole, forest_attention(whole, "dense"), packs, share=share)
    known = off(passed(half, forest_attention(half, "dense"), packs, share=share), wanted)
    return off(passed(half, forest_attention(half, backend), packs, share=share), wanted), known


@pytest.mark.parametrize("family", FAMILIES)
def test_trees_in_bfloat16_are_no_noisier_than_masks(family: str) -> None:
    found, known = noise(family, "flex", share=True)
    assert found[0] < 2 * known[0] and found[1] < 2 * known[1] < 0.2


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "gemma2"])
def test_rows_in_bfloat16_are_no_noisier_than_masks(family: str) -> None:
    found, known = noise(family, "varlen", share=False)
    assert found[0] < 2 * known[0] and found[1] < 2 * known[1] < 0.2


def test_when_rows_go_through_the_kernel() -> None:
    attention = row_attention(net("llama", torch.bfloat16), bf16=False)
    assert attention is not None and attention.backend == "varlen"
    assert varlen.available(net("llama"), bf16=True) and not varlen.available(net("llama"), bf16=False)
    assert not varlen.available(net("gemma2"), bf16=True), "its scores are capped"
