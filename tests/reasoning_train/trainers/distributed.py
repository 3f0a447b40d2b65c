"""One process of a torchrun that trains a tiny joint model and writes its curve (see test_equivalence.py; arguments as
JSON)."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, TrainerCallback, TrainingArguments

from data_gen.records.scales import Scale
from data_gen.verifiers.heads import HeadConfig
from data_gen.verifiers.value_head import ValueHead
from reasoning_train.packing.plan import by_group, plan_steps
from reasoning_train.packing.rows import Row, Trace
from reasoning_train.process import ranks
from reasoning_train.trainers.base import SealCheckpoints, StepBatches, train
from reasoning_train.trainers.config import Training
from reasoning_train.trainers.fit import TrainingSource, fit
from reasoning_train.trainers.heads import without_lm_head
from reasoning_train.trainers.losses.base import Loss
from reasoning_train.trainers.losses.cross_entropy import CrossEntropy
from reasoning_train.trainers.losses.dpo import DPO
from reasoning_train.trainers.losses.mse import MSE
from reasoning_train.trainers.losses.ranking import Ranking
from reasoning_train.trainers.losses.sft import SFT
from reasoning_train.trainers.objective import Objective
from reasoning_train.trainers.weights import gathered, save_trained
from tests.reasoning_train.trainers.here import Here
from tests.reasoning_train.trainers.low_rank import low_rank, merged

VOCAB = 19

KILLED = "killed"
"""File that tells that the kill which was asked for has happened, not another one."""


def objective(dropout: float = 0.0, lora: str = "", loss: str = "joint", bf16: bool = False) -> Objective:
    """A joint model of policy and value: language modelling and regression in one pass; or what `dpo` trains
    (`preference`), or `train_verifier` on pairs (`ranking`). `lora`: with adapters, see low_rank.py."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        initializer_range=0.3,
        max_position_embeddings=64,
        attention_dropout=dropout,
        tie_word_embeddings=loss == "joint",
    )
    model: Any = LlamaForCausalLM(config)
    if lora:
        model = low_rank(model, within=lora == "within")
    if loss == "preference":
        return Objective(model, [DPO(), SFT(weight=0.2)], bf16=bf16)
    head = HeadConfig(activation="none", scale=Scale.RANKING) if loss == "ranking" else HeadConfig()
    terms: list[Loss] = [Ranking()] if loss == "ranking" else [CrossEntropy(), MSE(weight=0.5)]
    made = ValueHead(head, 16, init_std=0.3)
    return Objective(without_lm_head(model, head) if loss == "ranking" else model, terms, made, bf16=bf16)


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
            made.append(
                Row((Trace(ids, weights, at, tuple(rng.random() for _ in at), (1.0,) * len(at)),), group=str(problem))
            )
    return made


def pairs(*, words: bool) -> list[Row]:
    """Two pairs of solutions of each problem; `words`: their tokens are learnt, else their last values are compared."""
    made, singles = [], rows(32)
    for one, other in zip(singles[::2], singles[1::2], strict=True):
        sides = [
            trace if words else replace(trace, weights=(0.0,) * len(trace)) for trace in (*one.traces, *other.traces)
        ]
        made.append(Row(tuple(sides), ranks=(1.0, 0.0), reference=(-9.0, -7.0), group=one.group))
    return made


class Die(TrainerCallback):
    """Stands for a kill after step `step`, before its checkpoint if any."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Leave at once, as a kill does."""
        if state.global_step == self.step:
            Path(args.output_dir, KILLED).touch()
            ranks.barrier()
            os._exit(0)


def tear(ending: str) -> None:
    """Kill this process half-way into the file of the fourth step's checkpoint whose name ends like this, if it is the
    one to write it."""
    save = torch.save

    def torn(found: Any, path: Any, *args: Any, **more: Any) -> None:
        save(found, path, *args, **more)
        if "checkpoint-4" in str(path) and str(path).endswith(ending):
            os.truncate(path, os.path.getsize(path) // 2)
            Path(path).parents[2].joinpath(KILLED).touch()  # RUN/checkpoint-4/global_step4/FILE
            os.kill(os.getpid(), signal.SIGKILL)

    torch.save = torn  # type: ignore[assignment]


def run(
    folder: Path,
    *,
    steps: int = 6,
    batch: int = 8,
    packing: str = "sequence",
    tokens: int = 24,
    zero: int | None = None,
    dropout: float = 0.0,
    lora: str = "",
    loss: str = "joint",
    bf16: bool = False,
    gpu: bool = False,
    rate: float = 0.02,
    die: int = 0,
    torn: str = "",
    **more: Any,
) -> list[dict[str, float]]:
    """Train; returns the curve, and the sum of squares of the weights (adapters merged) as its last point."""
    if torn:
        tear(torn)
    curve: list[dict[str, float]] = []
    data = rows() if loss == "joint" else pairs(words=loss == "preference")
    plan = plan_steps(by_group(data), batch, epochs=None, max_steps=steps, seed=0)
    made = StepBatches(data, plan, 0, packing=packing, capacity=tokens, tokens=tokens)  # type: ignore[arg-type]
    config = Path(__file__).parents[3] / f"configs/deepspeed/zero{zero}.json"
    deepspeed = None if zero is None else json.loads(config.read_text())
    if zero == 3:
        deepspeed["zero_optimization"]["stage3_param_persistence_threshold"] = 0  # else nothing so small is cut up
    args = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=1,
        num_train_epochs=1,
        learning_rate=rate,
        logging_steps=1,
        save_steps=2,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        use_cpu=not gpu,
        deepspeed=deepspeed,
        **more,
    )
    callbacks = [
        SealCheckpoints(lambda **point: curve.append(point), lambda *a, **k: None),
        *([Die(die)] if die else []),
    ]
    trainer = train(objective(dropout, lora, loss, bf16).to("cuda" if gpu else "cpu"), made, args, callbacks)
    whole = merged(gathered(trainer))
    curve.append({"weights": sum(float((p.detach().double() ** 2).sum()) for p in whole.parameters())})
    return curve


def fitted(folder: Path, *, zero: int | None = None, **config: Any) -> list[dict[str, Any]]:
    """`fit` with its looks and averages; returns the curve and, as its last point, what was recorded. The weights go to
    a file."""
    here, made = Here(folder, None if zero is None else f"zero{zero}"), objective()
    settings = Training(learning_rate=0.03, batch_size=4, save_every=2, micro_tokens=24, **config)
    fit(made, [TrainingSource(rows(32))], settings, here, packing="tree", pad_id=0, runs=folder / "runs", limit=64)  # type: ignore[arg-type]
    if ranks.rank() == 0:
        save_trained(made, folder)
    return [*here.points, here.metrics]


def without_shared_memory() -> None:
    """Keep DeepSpeed from compiling its collectives through shared memory, which torchrun's processes never use (they
    set no LOCAL_SIZE). The compilation takes minutes, in a folder that all processes of a user share; a kill in its
    middle leaves a lock for which every later one waits for ever."""
    import deepspeed

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def main() -> None:
    """Arguments of `run`, or of `fitted` where there is a `fit`, as JSON."""
    torch.set_num_threads(1)
    options = json.loads(sys.argv[1])
    os.environ["DS_ACCELERATOR"] = "cuda" if options.get("gpu") else "cpu"
    folder = Path(options.pop("folder"))
    if options.get("zero") is not None:
        without_shared_memory()
    ranks.join()
    curve = fitted(folder, **options) if options.pop("fit", False) else run(folder, **options)
    if ranks.rank() == 0:
        (folder / "curve.json").write_text(json.dumps(curve))


if __name__ == "__main__":
    main()
    ranks.end(0)
