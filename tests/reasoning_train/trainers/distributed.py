"""One process of a torchrun that trains a tiny joint model and writes its curve (see test_equivalence.py; arguments as JSON)."""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, TrainerCallback, TrainingArguments

from data_gen.heads import HeadConfig
from data_gen.verifiers.value_head import ValueHead
from reasoning_train import ranks
from reasoning_train.packing.plan import by_group, plan_steps
from reasoning_train.packing.rows import Row, Trace
from reasoning_train.trainers.base import SealCheckpoints, Steps, train
from reasoning_train.trainers.losses.language import CrossEntropy
from reasoning_train.trainers.losses.value import Regression
from reasoning_train.trainers.objective import Objective
from reasoning_train.trainers.weights import gathered

VOCAB = 19


def objective(dropout: float = 0.0) -> Objective:
    """A joint model of policy and value: language modelling and regression in one pass."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCAB, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, initializer_range=0.3,
        max_position_embeddings=64, attention_dropout=dropout, tie_word_embeddings=True,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    return Objective(model, [CrossEntropy(), Regression(factor=0.5)], ValueHead(HeadConfig(), 16, init_std=0.3))


def rows(n: int = 16) -> list[Row]:
    """Four solutions to each problem, which share beginnings; unequal lengths and weights."""
    rng = random.Random(0)
    made = []
    for problem in range(n // 4):
        stem = [rng.randrange(VOCAB) for _ in range(rng.randint(3, 6))]
        for _ in range(4):
            ids = (*stem[: rng.randint(2, len(stem))], *(rng.randrange(VOCAB) for _ in range(rng.randint(2, 9))))
            at = tuple(range(2, len(ids), 2))
            weights = (0.0, 0.0, *(rng.choice((0.5, 1.0)) for _ in ids[2:]))
            made.append(Row((Trace(ids, weights, at, tuple(rng.random() for _ in at), (1.0,) * len(at)),), group=str(problem)))
    return made


class Die(TrainerCallback):
    """Stands for a kill after step `step`, before its checkpoint if any."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Leave at once, as a kill does."""
        if state.global_step == self.step:
            ranks.barrier()
            os._exit(0)


def run(folder: Path, *, steps: int = 6, batch: int = 8, packing: str = "sequence", tokens: int = 24, zero: int | None = None,
        dropout: float = 0.0, die: int = 0, **more: Any) -> list[dict[str, float]]:  # fmt: skip
    """Train; returns the curve, and the parameters' sum of squares as its last point."""
    curve: list[dict[str, float]] = []
    plan = plan_steps(by_group(rows()), batch, epochs=None, max_steps=steps, seed=0)
    made = Steps(rows(), plan, 0, packing=packing, capacity=tokens, tokens=tokens)  # type: ignore[arg-type]
    config = Path(__file__).parents[3] / f"configs/deepspeed/zero{zero}.json"
    deepspeed = None if zero is None else json.loads(config.read_text())
    if zero == 3:
        deepspeed["zero_optimization"]["stage3_param_persistence_threshold"] = 0  # else nothing so small is cut up
    args = TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=1, num_train_epochs=1, learning_rate=0.02, logging_steps=1, save_steps=2,
        report_to="none", disable_tqdm=True, remove_unused_columns=False, use_cpu=True, deepspeed=deepspeed, **more,
    )  # fmt: skip
    callbacks = [SealCheckpoints(lambda **point: curve.append(point), lambda *a, **k: None), *([Die(die)] if die else [])]
    trainer = train(objective(dropout), made, args, callbacks)
    whole = gathered(trainer)
    curve.append({"weights": sum(float((p.detach().double() ** 2).sum()) for p in whole.parameters())})
    return curve


def main() -> None:
    """Arguments of `run` as JSON."""
    os.environ["DS_ACCELERATOR"] = "cpu"
    torch.set_num_threads(1)
    options = json.loads(sys.argv[1])
    folder = Path(options.pop("folder"))
    ranks.join()
    curve = run(folder, **options)
    if ranks.rank() == 0:
        (folder / "curve.json").write_text(json.dumps(curve))


if __name__ == "__main__":
    main()
