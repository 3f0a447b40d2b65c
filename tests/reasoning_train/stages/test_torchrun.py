"""Trainers under torchrun, in one process and in two, plain and under ZeRO, publish what a process alone does, up to
rounding."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from reasoning_train.process.plugins import VARIABLE
from reasoning_train.store.plan_json import write_plan
from reasoning_train.store.store import Artifact
from tests.reasoning_train import bench as bench_module
from tests.reasoning_train.bench import Bench
from tests.reasoning_train.stages import test_dpo, test_grpo, test_sft, test_train_verifier

ROOT = Path(__file__).parents[3]


def sft(bench: Bench) -> Artifact:
    bench.gold()
    return test_sft.train(bench, "made", batch_size=8, max_steps=4, micro_tokens=256)


def grpo(bench: Bench, loss: str = "grpo") -> Artifact:
    return test_grpo.train(test_grpo.half_taught(bench), "made", loss=loss, beta=0.05, max_steps=3)


TRAINS: dict[str, Callable[[Bench], Artifact]] = {
    "sft": sft,
    "dpo": lambda bench: test_dpo.train(bench, name="made", max_steps=3),
    "train_verifier": lambda bench: test_train_verifier.train(bench, name="made", max_steps=3),
    "grpo": grpo,
    "rloo": lambda bench: grpo(bench, "rloo"),
}
UNDER = {
    "sft": (None, "zero2", "zero3"),
    "dpo": (None, "zero2", "zero3"),
    "train_verifier": (None, "zero2", "zero3"),
    "grpo": (None, "zero0", "zero1", "zero2"),  # it samples: ZeRO-3 would need a vLLM server
    "rloo": (None, "zero2"),
}

SAMPLES = ("grpo", "rloo")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {
        f"{path.name}/{name}": tensor
        for path in sorted(folder.rglob("*.safetensors"))
        for name, tensor in load_file(path).items()
    }


def rewards(folder: Path) -> list[float]:
    """Of every step; trainings this short that do not sample record nothing."""
    history = folder / "history.jsonl"
    return [json.loads(line)["reward"] for line in history.read_text().splitlines()] if history.exists() else []


def under_torchrun(bench: Bench, name: str, processes: int, plugins: tuple[str, ...] = ()) -> Artifact:
    """The stage as torchrun's workers do it, each with these plug-ins."""
    plan = bench.store.root / "plan.json"
    write_plan(plan, bench.plan)
    run = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        str(processes),
        "-m",
        "reasoning_train.stage",
    ]
    more = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), VARIABLE: ",".join((bench_module.__name__, *plugins))}
    command = [*run, str(plan), name, "--store", str(bench.store.root)]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **more}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return bench.store.open(bench.nodes[name])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("uses", "deepspeed", "processes"),
    [(uses, one, n) for uses, several in UNDER.items() for one in several for n in (1, 2) if one or n > 1],
)
def test_so_many_processes_publish_what_one_alone_does(
    kitchen: Bench, one_thread: None, uses: str, deepspeed: str | None, processes: int
) -> None:
    """Also the same counts and, of those who sample, the same rewards."""
    alone = TRAINS[uses](kitchen)
    aside = alone.path.rename(alone.path.with_name("alone"))
    kitchen.nodes["made"] = replace(kitchen.nodes["made"], resources={"deepspeed": deepspeed} if deepspeed else {})
    artifact = under_torchrun(kitchen, "made", processes)
    assert artifact.manifest["metrics"]["processes"] == processes
    assert artifact.manifest["counts"] == alone.manifest["counts"]
    assert rewards(artifact.path) == rewards(aside) and len(rewards(aside)) == (3 if uses in SAMPLES else 0)
    found, wanted = weights(artifact.path), weights(aside)
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert torch.allclose(
            found[name], tensor, rtol=1e-4 if uses == "sft" else 1e-3, atol=2e-5 if uses in SAMPLES else 1e-5
        ), name
