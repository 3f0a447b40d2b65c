"""What one of two processes holds under ZeRO-3 against ZeRO-0: the bytes of parameters and of the optimizer, after two
steps of SFT.

A 1M-parameter Llama on gloo, `configs/deepspeed/` as they are. Counted are the storages that parameters, their
partitions and the optimizer's tensors lie in, each once; gradients and communication buffers are not. Both stages must
give the same losses. In bfloat16 with float32 masters, which ZeRO is made for, all of it is cut in two. In float32
DeepSpeed keeps a second copy of the weights' partition as masters beside those that the model uses: (1 + 1 + 2) / 2
copies of the weights against 1 + 2, so 0.67.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

STEPS, ROWS, LENGTH = 2, 8, 48


def run() -> Iterator[dict[str, Any]]:
    """Bytes of the heavier process under either, their ratio, and the largest relative difference of the losses."""
    for dtype, wanted, same in (("bfloat16", 0.6, 2e-2), ("float32", None, 1e-4)):
        found = {stage: _torchrun(stage, dtype) for stage in (0, 3)}
        held = {stage: max(each["held"] for each in ranks) for stage, ranks in found.items()}
        for stage, size in held.items():
            name = f"zero_memory.{dtype} zero{stage}"
            yield {"name": name, "value": round(size / 2**20, 2), "unit": "MiB/process", "target": None, "ok": True}
        share, target = held[3] / held[0], wanted and f"<= {wanted}"
        name = f"zero_memory.{dtype} zero3_over_zero0"
        yield {"name": name, "value": round(share, 3), "unit": "x", "target": target, "ok": share <= (wanted or 1)}
        worst = max(abs(a / b - 1) for a, b in zip(found[3][0]["losses"], found[0][0]["losses"], strict=True))
        yield {
            "name": f"zero_memory.{dtype} difference",
            "value": worst,
            "unit": "",
            "target": f"<= {same}",
            "ok": worst <= same,
        }


def _torchrun(stage: int, dtype: str) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        command += ["-m", "tests.benchmarks.zero_memory", str(stage), dtype, folder]
        subprocess.run(
            command,
            check=True,
            capture_output=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"},
        )
        return [json.loads((Path(folder) / f"{rank}.json").read_text()) for rank in (0, 1)]


def main() -> None:
    """One of the two processes."""
    from reasoning_train.api.checkout import CHECKOUT
    from reasoning_train.packing.rows import Row, Trace
    from reasoning_train.process import ranks
    from reasoning_train.trainers.base import StepBatches, train
    from reasoning_train.trainers.losses.cross_entropy import CrossEntropy
    from reasoning_train.trainers.objective import Objective
    from tests.benchmarks._against_trl import SETTINGS, Clock, model, quiet, tokenizer

    stage, dtype, folder = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    ranks.join()
    from transformers import TrainingArguments

    deepspeed = json.loads((CHECKOUT / f"configs/deepspeed/zero{stage}.json").read_text())
    settings = {**SETTINGS, "per_device_train_batch_size": 1, "num_train_epochs": 1, "remove_unused_columns": False}
    settings |= {"deepspeed": deepspeed, "bf16": dtype == "bfloat16"}
    rows = [Row((Trace(tuple((7 * n + t) % 100 for t in range(LENGTH)), (1.0,) * LENGTH),)) for n in range(ROWS)]
    steps = StepBatches(rows, [range(ROWS)] * STEPS, 0, packing="sequence", capacity=256, tokens=128)
    clock = Clock()
    with quiet():
        trainer = train(
            Objective(model(tokenizer(61)), [CrossEntropy()]),
            steps,
            TrainingArguments(str(folder), **settings),
            [clock],
        )
    found = {"held": _held(trainer), "losses": [loss for loss, _ in clock.curve]}
    (folder / f"{ranks.rank()}.json").write_text(json.dumps(found))


def _held(trainer: Any) -> int:
    """Bytes of the storages of parameters and optimizer state in this process."""
    engine = trainer.accelerator.deepspeed_engine_wrapped.engine
    optimizer, seen = engine.optimizer, dict[int, int]()
    tensors: list[Any] = [x for p in engine.module.parameters() for x in (p.data, getattr(p, "ds_tensor", None))]
    while optimizer is not None:  # DeepSpeed's, which holds flat copies, around torch's
        tensors += [p for group in optimizer.param_groups for p in group["params"]]
        tensors += [x for state in optimizer.state.values() for x in state.values()]
        tensors += [
            x
            for name in vars(optimizer)
            if "groups_flat" in name or name == "bit16_groups"
            for x in _flat(getattr(optimizer, name))
        ]
        optimizer = getattr(optimizer, "optimizer", None)
    for tensor in tensors:
        if hasattr(tensor, "untyped_storage"):
            storage = tensor.untyped_storage()
            seen[storage.data_ptr()] = storage.nbytes()
    return sum(seen.values())


def _flat(found: Any) -> list[Any]:
    return [x for each in found for x in _flat(each)] if isinstance(found, list | tuple) else [found]


if __name__ == "__main__":
    main()
