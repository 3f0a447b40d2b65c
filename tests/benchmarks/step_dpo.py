"""Step-DPO against TRL's DPOTrainer: pairs of 32-token steps behind 384-token prefixes of their own, a 0.9M-parameter
Llama.

8 pairs a step. TRL runs each side behind its own copy of the prefix, and the reference beside the policy unless its
log-probabilities are precomputed; ours runs the prefix once, with cached references. Neither side's caching of
references is counted. `default` is TRL as it comes (but in float32): it recomputes activations, which costs time.
`tuned` does not, as ours does not; then tokens alone allow 2.48x and 1.86x. Each side takes its best micro-batch; arms
are interleaved, medians of processor time compared. (Siblings of one node: tree_packing.pairs.)
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tests.benchmarks._against_trl import Arm, disagreement, fastest, interleaved, model, quiet, tokenizer
from tests.benchmarks._dpo_sides import our_dpo, pairs, rows, theirs

REPEATS, STEPS, PAIRS, PREFIX, SIDE = 3, 5, 8, 384, 32
SIDES: dict[str, tuple[dict[str, bool], float | None]] = {
    "default": ({"gradient_checkpointing": True}, 2.8),
    "default precomputed": ({"gradient_checkpointing": True, "precompute": True}, 1.9),
    "tuned": ({}, None),
    "tuned precomputed": ({"precompute": True}, None),
}
"""Settings of TRL's, and the gain wanted over them."""


def run() -> Iterator[dict[str, Any]]:
    """Gains over each side, what they are made of, and the largest relative difference in loss and gradient norm of any
    step."""
    with quiet(), tempfile.TemporaryDirectory() as name:
        clocks = interleaved(_arms(Path(name)), REPEATS)
    mine, setting = fastest(clocks, "ours")
    yield {
        "name": f"step_dpo.{setting}",
        "value": round(PAIRS / mine, 2),
        "unit": "pairs/s",
        "target": None,
        "ok": True,
    }
    for side, (_, wanted) in SIDES.items():
        spent, setting = fastest(clocks, side)
        yield {
            "name": f"step_dpo.{setting}",
            "value": round(PAIRS / spent, 2),
            "unit": "pairs/s",
            "target": None,
            "ok": True,
        }
        gain, target = spent / mine, wanted and f">= {wanted}"
        yield {
            "name": f"step_dpo.over {side}",
            "value": round(gain, 2),
            "unit": "x",
            "target": target,
            "ok": gain >= (wanted or 0),
        }
    worst = disagreement(clocks)
    yield {"name": "step_dpo.largest_difference", "value": worst, "unit": "", "target": "<= 1e-4", "ok": worst <= 1e-4}


def _arms(folder: Path) -> dict[str, Arm]:
    tokens = tokenizer(61)
    made = pairs(tokens, PAIRS, prefix=PREFIX, side=SIDE)
    known = rows(tokens, made, model(tokens))
    arms: dict[str, Arm] = {}
    for n in (4096, 2048, 1024):
        arms[f"ours {n}"] = partial(our_dpo, tokens, known, folder, micro_tokens=n, steps=STEPS)
    for side, (options, _) in SIDES.items():
        for micro in (8, 4, 2):
            arms[f"{side} {micro}"] = partial(theirs, tokens, made, folder, micro=micro, steps=STEPS, **options)
    return arms
