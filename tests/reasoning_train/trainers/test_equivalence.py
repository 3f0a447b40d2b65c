"""Equivalence classes: one training, cut into passes, packed, dealt to processes and sharded in every way, gives one curve."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from data_gen.errors import UserError
from reasoning_train.trainers.checkpoints import newest_whole
from tests.reasoning_train.trainers.distributed import run

ROOT = Path(__file__).parents[3]


def processes(n: int, folder: Path, **options: Any) -> list[dict[str, float]]:
    """The curve of a torchrun of n processes."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(n)]
    command += ["-m", "tests.reasoning_train.trainers.distributed", json.dumps({"folder": str(folder), **options})]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0 or "die" in options, done.stderr[-4000:]  # whoever outlives a killed process is aborted
    curve = folder / "curve.json"
    return json.loads(curve.read_text()) if curve.exists() else []


def check_same(found: list[dict[str, float]], wanted: list[dict[str, float]], rel: float = 5e-5) -> None:
    """Every loss, gradient norm and the final weights deviate by `rel` at most, and by a fifth of that on average: no drift one way."""
    assert len(found) == len(wanted) > 2
    deviations = []
    for a, b in zip(found, wanted, strict=True):
        compared = {"loss", "loss_lm", "loss_value", "grad_norm", "weights"} & b.keys()
        assert compared <= a.keys()
        deviations += [a[name] / b[name] - 1 for name in compared]
    assert max(map(abs, deviations)) <= rel, deviations
    assert abs(sum(deviations) / len(deviations)) <= rel / 5, deviations


@pytest.fixture
def wanted(tmp_path: Path, one_thread: None) -> list[dict[str, float]]:
    """All rows of a step alone in a forward pass each, one process."""
    return run(tmp_path / "wanted", packing="none", tokens=1)


@pytest.mark.parametrize(
    "options",
    [
        {"packing": "none", "tokens": 10_000},
        {"packing": "sequence", "tokens": 40},
        {"packing": "sequence", "tokens": 10_000},
        {"packing": "tree", "tokens": 24},
        {"packing": "tree", "tokens": 10_000},
    ],
    ids=str,
)
def test_accumulation_and_packing(tmp_path: Path, wanted: list[dict[str, float]], options: dict[str, Any]) -> None:
    check_same(run(tmp_path / "a", **options), wanted)


@pytest.mark.slow
@pytest.mark.parametrize("zero", [None, 0, 1, 2, 3])
def test_two_processes(tmp_path: Path, wanted: list[dict[str, float]], zero: int | None) -> None:
    check_same(processes(2, tmp_path / "two", packing="tree", zero=zero), wanted)


@pytest.mark.slow
@pytest.mark.parametrize("zero", [None, 2, 3])
def test_resumed_on_two_processes(tmp_path: Path, zero: int | None) -> None:
    """Data order, optimizer and random numbers (dropout) go on where they were; another world size is refused."""
    options = {"packing": "tree", "zero": zero, "dropout": 0.1}
    straight = processes(2, tmp_path / "straight", **options)
    assert processes(2, tmp_path / "killed", die=5, **options) == []
    with pytest.raises(UserError, match=r"written by 2 process\(es\); this run has 1. Either start it with 2 again, or remove"):
        newest_whole(tmp_path / "killed", world=1)
    resumed = processes(2, tmp_path / "killed", **options)
    assert resumed[-3:] == straight[-3:]
