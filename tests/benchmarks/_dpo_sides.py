"""DPO on the same pairs by TRL's trainer and by ours."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks._against_trl import SETTINGS, Clock, model, ours, text

BETA = 0.1
Pair = dict[str, str]


def pairs(tokens: Any, n: int, *, prefix: int, side: int) -> list[Pair]:
    """Random words; TRL ends each side with the end token, so a side is one word shorter than its tokens."""
    rng = random.Random(0)
    lengths = {"prompt": prefix, "chosen": side - 1, "rejected": side - 1}
    return [{name: text(tokens, length, rng) for name, length in lengths.items()} for _ in range(n)]


def theirs(
    tokens: Any,
    made: Sequence[Pair],
    folder: Path,
    *,
    micro: int,
    steps: int,
    precompute: bool = False,
    policy: Any = None,
    **more: Any,
) -> Clock:
    """Train by TRL: a step is all pairs, `micro` at a time. `more` overrides its configuration."""
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    policy = policy or model(tokens)
    settings = {**SETTINGS, "bf16": False, "gradient_checkpointing": False, "beta": BETA, **more}
    args = DPOConfig(
        output_dir=str(folder / "theirs"),
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=len(made) // micro,
        max_steps=steps,
        precompute_ref_log_probs=precompute,
        **settings,
    )
    reference, clock = None if precompute else copy.deepcopy(policy), Clock()
    data = Dataset.from_list(list(made))
    DPOTrainer(policy, reference, args, train_dataset=data, processing_class=tokens, callbacks=[clock]).train()
    return clock


def rows(tokens: Any, made: Sequence[Pair], reference: Any) -> list[Any]:
    """The same pairs as rows, with the log-probabilities of the reference, a model or what it gave before."""
    from dataclasses import replace

    from reasoning_train.packing.rows import Row, Trace
    from reasoning_train.stages.reference import pair_logprobs
    from reasoning_train.trainers.objective import Objective

    def trace(pair: Pair, name: str) -> Trace:
        prompt, side = tokens(pair["prompt"])["input_ids"], tokens(pair[name])["input_ids"] + [tokens.eos_token_id]
        return Trace((*prompt, *side), (0.0,) * len(prompt) + (1.0,) * len(side))

    plain = [
        Row((trace(pair, "chosen"), trace(pair, "rejected")), group=str(number)) for number, pair in enumerate(made)
    ]
    known = reference if isinstance(reference, list) else pair_logprobs(Objective(reference, []).eval(), plain, 0, 2048)
    return [replace(row, reference=tuple(both)) for row, both in zip(plain, known, strict=True)]


def our_dpo(
    tokens: Any, made: Sequence[Any], folder: Path, *, micro_tokens: int, steps: int, policy: Any = None, **more: Any
) -> Clock:
    """Train by ours: a step is all rows, each pair a tree. `more` are training arguments."""
    from reasoning_train.trainers.losses.dpo import DPO
    from reasoning_train.trainers.objective import Objective

    policy = policy or model(tokens)
    if more.pop("gradient_checkpointing", False):
        policy.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    clock, objective = Clock(), Objective(policy, [DPO(beta=BETA)])
    ours(
        objective,
        made,
        packing="tree",
        capacity=micro_tokens,
        tokens=micro_tokens,
        steps=steps,
        clock=clock,
        folder=folder,
        **more,
    )
    return clock
