"""SFT with 66 % padding: packed rows against padded ones, and against TRL's packed SFT, a 0.9M-parameter Llama.

16 solutions a step, most of them short: side by side, each as wide as the longest (512 tokens), they are a third of
their columns, and so is what a padded pass holds (`micro_tokens: 8192`, the default). Loss falls on all but the first
quarter. Packed are ours in rows of `pack_to` columns or as trees of one branch, TRL's (`bfd`) in rows of `max_length`;
each packed side takes its best setting. Tokens alone allow 2.94x. Arms are interleaved and medians of processor time
compared.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tests.benchmarks._against_trl import (
    SETTINGS,
    Arm,
    Clock,
    disagreement,
    fastest,
    interleaved,
    model,
    ours,
    quiet,
    tokenizer,
)

REPEATS, STEPS, ROWS, LONGEST, PADDING = 3, 8, 16, 512, 0.66


def run() -> Iterator[dict[str, Any]]:
    """Gains over padded rows and over TRL, what they are made of, and the largest relative difference of any step."""
    with quiet(), tempfile.TemporaryDirectory() as name:
        lengths = _lengths()
        clocks = interleaved(_arms(lengths, Path(name)), REPEATS)
    sides = {side: fastest(clocks, side) for side in ("packed", "padded", "trl packed", "trl padded")}
    yield {
        "name": "sft_packing.padding",
        "value": round(1 - sum(lengths) / (ROWS * LONGEST), 3),
        "unit": "",
        "target": None,
        "ok": True,
    }
    for spent, setting in sides.values():
        yield {
            "name": f"sft_packing.{setting}",
            "value": round(sum(lengths) / spent),
            "unit": "tok/s",
            "target": None,
            "ok": True,
        }
    mine = sides["packed"][0]
    for side, wanted in {"padded": 3.0, "trl packed": 1.0, "trl padded": None}.items():
        gain, target = sides[side][0] / mine, wanted and f">= {wanted}"
        yield {
            "name": f"sft_packing.over {side}",
            "value": round(gain, 2),
            "unit": "x",
            "target": target,
            "ok": gain >= (wanted or 0),
        }
    worst = disagreement(clocks)
    yield {
        "name": "sft_packing.largest_difference",
        "value": worst,
        "unit": "",
        "target": "<= 1e-4",
        "ok": worst <= 1e-4,
    }


def _lengths() -> list[int]:
    """One of the longest; the others fall off exponentially, scaled to the wanted share of padding."""
    rng = random.Random(0)
    raw = [rng.expovariate(1) for _ in range(ROWS - 1)]
    scale = ((1 - PADDING) * ROWS * LONGEST - LONGEST) / sum(raw)
    return [LONGEST, *(max(8, min(LONGEST, round(scale * x))) for x in raw)]


def _arms(lengths: Sequence[int], folder: Path) -> dict[str, Arm]:
    words, rng = tokenizer(61), random.Random(1)
    ids = [[rng.randrange(5, len(words)) for _ in range(n)] for n in lengths]
    settings = {
        "padded 16": {"packing": "none", "capacity": LONGEST, "tokens": ROWS * LONGEST},
        "packed 256x4": {"packing": "sequence", "capacity": 256, "tokens": 1024},
        "packed 256x8": {"packing": "sequence", "capacity": 256, "tokens": 2048},
        "packed 512x2": {"packing": "sequence", "capacity": 512, "tokens": 1024},
        "packed tree1024": {"packing": "tree", "capacity": 1024, "tokens": 1024},
        "packed tree2048": {"packing": "tree", "capacity": 2048, "tokens": 2048},
    }
    arms: dict[str, Arm] = {name: partial(_ours, words, ids, folder, **setting) for name, setting in settings.items()}
    arms["trl padded 16"] = partial(_theirs, words, ids, folder, micro=ROWS)
    for columns, rows in ((512, 1), (512, 2), (1024, 1)):
        arms[f"trl packed {columns}x{rows}"] = partial(
            _theirs, words, ids, folder, micro=rows, packing=True, max_length=columns
        )
    return arms


def _weights(ids: Sequence[int]) -> list[float]:
    return [float(t >= len(ids) // 4) for t in range(len(ids))]


def _ours(words: Any, ids: Sequence[list[int]], folder: Path, **how: Any) -> Clock:
    from reasoning_train.packing.rows import Row, Trace
    from reasoning_train.trainers.losses.cross_entropy import CrossEntropy
    from reasoning_train.trainers.objective import Objective

    rows = [Row((Trace(tuple(each), tuple(_weights(each))),)) for each in ids]
    clock, objective = Clock(), Objective(model(words), [CrossEntropy()])
    ours(objective, rows, steps=STEPS, clock=clock, folder=folder, **how)
    return clock


def _theirs(
    words: Any, ids: Sequence[list[int]], folder: Path, *, micro: int, packing: bool = False, max_length: int = LONGEST
) -> Clock:
    """An epoch is a step: whatever the packing, all solutions are in it."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    rows = [
        {"input_ids": each, "labels": [t if w else -100 for t, w in zip(each, _weights(each), strict=True)]}
        for each in ids
    ]
    options = {
        **SETTINGS,
        "bf16": False,
        "gradient_checkpointing": False,
        "max_steps": STEPS,
        "max_length": max_length,
        "packing": packing,
    }
    args = SFTConfig(
        output_dir=str(folder / "theirs"),
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=ROWS,
        **options,
    )
    clock = Clock()
    SFTTrainer(
        model(words), args, train_dataset=Dataset.from_list(rows), processing_class=words, callbacks=[clock]
    ).train()
    return clock
