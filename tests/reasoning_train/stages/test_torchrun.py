"""`dpo` and `train_verifier` in two processes of a torchrun publish what one process does, plain and under ZeRO."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from reasoning_train.plugins import VARIABLE
from reasoning_train.recipe.plan_json import write_plan
from tests.reasoning_train import bench as bench_module
from tests.reasoning_train.bench import Bench
from tests.reasoning_train.stages import test_dpo, test_train_verifier

ROOT = Path(__file__).parents[3]
TRAINS: dict[str, Callable[..., Any]] = {"dpo": test_dpo.train, "train_verifier": test_train_verifier.train}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {f"{path.name}/{name}": tensor for path in sorted(folder.rglob("*.safetensors")) for name, tensor in load_file(path).items()}


@pytest.mark.slow
@pytest.mark.parametrize("deepspeed", [None, "zero2", "zero3"])
@pytest.mark.parametrize("uses", TRAINS)
def test_two_processes_publish_what_one_does(kitchen: Bench, one_thread: None, uses: str, deepspeed: str | None) -> None:
    alone = TRAINS[uses](kitchen, name="made", max_steps=3)
    wanted = weights(alone.path)
    os.rename(alone.path, alone.path.with_name("alone"))
    kitchen.nodes["made"] = replace(kitchen.nodes["made"], resources={"deepspeed": deepspeed} if deepspeed else {})
    plan = kitchen.store.root / "plan.json"
    write_plan(plan, kitchen.plan)
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "reasoning_train.stage"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), VARIABLE: bench_module.__name__}
    command = [*run, str(plan), "made", "--store", str(kitchen.store.root)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    artifact = kitchen.store.open(kitchen.nodes["made"])
    assert artifact.manifest["metrics"]["processes"] == 2
    found = weights(artifact.path)
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert torch.allclose(found[name], tensor, rtol=1e-3, atol=1e-5), name
