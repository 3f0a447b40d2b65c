"""Value training on a tree as a tree, on a GPU: forward and backward in bfloat16, a Qwen2 of 1.5B parameters with
random weights.

The tree has 121 nodes (256-token prompt, 64-token steps, 3 children, depth 4). Arms: its 81 paths as padded rows under
masks, side by side under FlashAttention, the tree under FlexAttention, and under gathered keys. Each side takes its
best micro-batch. All paths are of one length, so rows have no padding, and nothing that FlashAttention could leave out.
Batches are made and moved beforehand; masks of trees are made within the time. Medians.
"""

from __future__ import annotations

import contextlib
import random
import statistics
import time
from collections.abc import Iterator
from typing import Any

from tests.benchmarks._full_tree import full_tree, sharing
from tests.benchmarks._skipped import skipped

PROMPT, STEP, CHILDREN, DEPTH = 256, 64, 3, 4
REPEATS = 3
SHAPE = {
    "vocab_size": 32_000,
    "hidden_size": 1536,
    "intermediate_size": 8960,
    "num_hidden_layers": 28,
    "num_attention_heads": 12,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
}
ARMS = {"masks": (8, 16), "rows": (8, 16), "tree": (27, 81), "gather": (81,)}
"""Paths a pass."""


def run() -> Iterator[dict[str, Any]]:
    """Gains over padded rows, and the memory of a pass."""
    import torch

    if not torch.cuda.is_available():
        yield skipped("gpu_packing", "a CUDA device")
        return
    paths = full_tree(
        random.Random(0), int(SHAPE["vocab_size"]), prompt=PROMPT, step=STEP, children=CHILDREN, depth=DEPTH
    )
    tokens = sum(map(len, paths))
    objective = _objective()
    found = {(arm, n): _timed(objective, arm, paths, n) for arm, sizes in ARMS.items() for n in sizes}
    best = {arm: min(spent for (name, _), (spent, _) in found.items() if name == arm) for arm in ARMS}
    for (arm, n), (spent, peak) in found.items():
        yield {
            "name": f"gpu_packing.{arm} {n}",
            "value": round(tokens / spent),
            "unit": "path tok/s",
            "target": None,
            "ok": True,
        }
        yield {
            "name": f"gpu_packing.{arm} {n} memory",
            "value": round(peak / 2**30, 2),
            "unit": "GiB",
            "target": None,
            "ok": True,
        }
    gain = min(best["masks"], best["rows"]) / best["tree"]
    wanted = 0.8 * sharing(paths)
    yield {
        "name": "gpu_packing.values",
        "value": round(gain, 2),
        "unit": "x",
        "target": f">= {wanted:.2f}",
        "ok": gain >= wanted,
    }
    rows = best["masks"] / best["rows"]
    yield {"name": "gpu_packing.rows_over_masks", "value": round(rows, 2), "unit": "x", "target": None, "ok": True}


def _objective() -> Any:
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from data_gen.verifiers.heads import HeadConfig
    from data_gen.verifiers.value_head import ValueHead
    from reasoning_train.trainers.losses.mse import MSE
    from reasoning_train.trainers.objective import Objective

    torch.manual_seed(0)
    model = Qwen2ForCausalLM(Qwen2Config(**SHAPE)).cuda()
    return Objective(model, [MSE()], ValueHead(HeadConfig(), int(SHAPE["hidden_size"])).cuda(), bf16=True)


def _timed(objective: Any, arm: str, paths: list[tuple[int, ...]], n: int) -> tuple[float, int]:
    """Median seconds of one pass over all paths, n at a time, and the most memory that it held."""
    import torch

    spent = []
    with _attending(objective, arm) as attention:
        batches = [_batch(paths[at : at + n], arm, attention) for at in range(0, len(paths), n)]
        torch.cuda.reset_peak_memory_stats()
        for repeat in range(REPEATS + 2):  # the first two compile and warm up
            torch.cuda.synchronize()
            start = time.perf_counter()
            for batch in batches:
                sums: dict[str, Any] = objective(batch)
                torch.stack(list(sums.values())).sum().backward()
            torch.cuda.synchronize()
            if repeat > 1:
                spent.append(time.perf_counter() - start)
            objective.zero_grad(set_to_none=False)
    return statistics.median(spent), torch.cuda.max_memory_allocated()


@contextlib.contextmanager
def _attending(objective: Any, arm: str) -> Iterator[Any]:
    from reasoning_train.packing.tree_attention import forest_attention

    if arm == "masks":
        yield None
        return
    with objective.packed("tree" if arm in ("tree", "gather") else "sequence"):
        if arm == "gather":
            objective.forest = forest_attention(objective.model, "gather")
        yield objective.forest


def _batch(paths: list[tuple[int, ...]], arm: str, attention: Any) -> dict[str, Any]:
    from reasoning_train.packing.batch import collate
    from reasoning_train.packing.rows import Row, Trace

    ends = tuple(range(PROMPT + STEP - 1, PROMPT + DEPTH * STEP, STEP))
    rows = [Row((Trace(ids, (0.0,) * len(ids), ends, (0.3,) * DEPTH, (1.0,) * DEPTH),)) for ids in paths]
    packs = [rows] if arm in ("tree", "gather") else [[row] for row in rows]
    made = collate(packs, 0, share=arm in ("tree", "gather"), attention=attention)
    return {name: tensor.cuda() for name, tensor in made.items()}
