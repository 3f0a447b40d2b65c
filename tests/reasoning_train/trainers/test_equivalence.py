"""Equivalence classes: one training, cut into passes, packed, dealt to processes and sharded in every way, gives one
curve."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file

from data_gen.errors import UserError
from reasoning_train.packing.batch import collate
from reasoning_train.trainers.checkpoints import SEAL, is_whole, newest_whole
from reasoning_train.trainers.weights import FILE
from tests.reasoning_train.trainers.distributed import KILLED, fitted, objective, rows, run
from tests.reasoning_train.trainers.low_rank import merged

ROOT = Path(__file__).parents[3]


def processes(n: int, folder: Path, **options: Any) -> list[dict[str, Any]]:
    """The curve of a torchrun of n processes; empty if one of them was killed as `die` or `torn` asks. Any other end is
    a failure that shows what the processes said."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(n)]
    command += ["-m", "tests.reasoning_train.trainers.distributed", json.dumps({"folder": str(folder), **options})]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
    )
    said = f"exit code {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-12000:]}"
    curve, asked = folder / "curve.json", folder / KILLED
    if options.keys() & {"die", "torn"}:  # whoever outlives a killed process is aborted, so the exit code says nothing
        assert asked.exists() and not curve.exists(), said
        asked.unlink()
        return []
    assert done.returncode == 0, said
    return cast(list[dict[str, Any]], json.loads(curve.read_text()))


def check_same(found: list[dict[str, float]], wanted: list[dict[str, float]], rel: float = 5e-5) -> None:
    """Every loss, gradient norm and the final weights deviate by `rel` at most, and by a fifth of that on average: no
    drift one way."""
    assert len(found) == len(wanted) > 2
    deviations = []
    watched = {"loss", "loss_cross_entropy", "loss_mse", "grad_norm", "weights", "dpo_margin"}
    for a, b in zip(found, wanted, strict=True):
        compared = watched & b.keys()
        assert compared <= a.keys()
        deviations += [a[name] / b[name] - 1 for name in compared]
    assert max(map(abs, deviations)) <= rel, deviations
    assert abs(sum(deviations) / len(deviations)) <= rel / 5, deviations


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, float]]:
    """All rows of a step alone in a forward pass each, one process."""
    torch.set_num_threads(1)
    return run(tmp_path_factory.mktemp("wanted"), packing="none", tokens=1)


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


@pytest.mark.parametrize("loss", ["preference", "ranking"])
def test_comparisons_do_not_depend_on_how_they_are_packed(tmp_path: Path, one_thread: None, loss: str) -> None:
    apart = run(tmp_path / "apart", packing="none", tokens=1, loss=loss)
    check_same(run(tmp_path / "tree", packing="tree", loss=loss), apart)


@pytest.mark.slow
@pytest.mark.parametrize("zero", [None, 2, 3])
@pytest.mark.parametrize("loss", ["preference", "ranking"])
def test_comparisons_on_two_processes(tmp_path: Path, one_thread: None, loss: str, zero: int | None) -> None:
    """What `dpo` and `train_verifier` train, whose language-model head nothing reads."""
    apart = run(tmp_path / "apart", packing="none", tokens=1, loss=loss)
    check_same(processes(2, tmp_path / "two", packing="tree", loss=loss, zero=zero), apart)


@pytest.fixture(scope="module")
def within(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, float]]:
    """Adapters merged into the weights at every step, rows alone in their passes, one process."""
    torch.set_num_threads(1)
    return run(tmp_path_factory.mktemp("within"), packing="none", tokens=1, lora="within")


def test_adapters_beside_the_weights_or_merged_into_them(tmp_path: Path, within: list[dict[str, float]]) -> None:
    check_same(run(tmp_path / "beside", packing="tree", lora="beside"), within)


@pytest.mark.slow
@pytest.mark.parametrize("zero", [None, 2, 3])
def test_adapters_on_two_processes(tmp_path: Path, within: list[dict[str, float]], zero: int | None) -> None:
    check_same(processes(2, tmp_path / "two", packing="tree", lora="beside", zero=zero), within)


def test_merging_changes_no_log_probability_and_no_value() -> None:
    made = objective(lora="beside").eval()
    batch = collate([[row] for row in rows()], 0)
    with torch.no_grad():
        before = made.outputs(batch)
        made.model.disable_adapter_layers()
        without = made.outputs(batch)
        made.model.enable_adapter_layers()
        after = merged(made).outputs(batch)
    assert torch.allclose(after.logprobs, before.logprobs, atol=1e-5) and torch.allclose(
        after.raw, before.raw, atol=1e-5
    )
    assert not torch.allclose(without.logprobs, before.logprobs, atol=0.1) and not torch.allclose(
        without.raw, before.raw, atol=0.1
    )


@pytest.mark.slow
@pytest.mark.parametrize("zero", [None, 2, 3])
def test_resumed_on_two_processes(tmp_path: Path, zero: int | None) -> None:
    """Data order, optimizer and random numbers (dropout) go on where they were; another world size is refused."""
    options = {"packing": "tree", "zero": zero, "dropout": 0.1}
    straight = processes(2, tmp_path / "straight", **options)
    assert processes(2, tmp_path / "killed", die=5, **options) == []
    with pytest.raises(
        UserError, match=r"written by 2 process\(es\); this run has 1. Either start it with 2 again, or remove"
    ):
        newest_whole(tmp_path / "killed", world=1)
    resumed = processes(2, tmp_path / "killed", **options)
    assert resumed[-3:] == straight[-3:]


@pytest.mark.slow
@pytest.mark.parametrize("zero", [None, 3])
def test_weights_that_blow_up_in_the_last_step_are_found_on_two_processes(tmp_path: Path, zero: int | None) -> None:
    """Under ZeRO-3 a process has shards of them alone."""
    with pytest.raises(AssertionError, match=r"Training blew up: at step 1 .* is not finite"):
        processes(2, tmp_path / "two", steps=1, rate=1e39, zero=zero)


@pytest.mark.slow
def test_killed_while_deepspeed_writes_a_checkpoint(tmp_path: Path) -> None:
    """Once in the weights, which process 0 writes, once in the optimizer's part of process 1: what is torn is not
    resumed from."""
    options = {"packing": "tree", "zero": 2, "dropout": 0.1}
    straight, folder = processes(2, tmp_path / "straight", **options), tmp_path / "killed"
    for ending in ("mp_rank_00_model_states.pt", "rank_1_mp_rank_00_optim_states.pt"):
        assert processes(2, folder, torn=ending, **options) == []
        [torn] = (folder / "checkpoint-4").glob(f"*/*{ending}")
        [whole] = (tmp_path / "straight" / "checkpoint-4").glob(f"*/*{ending}")
        assert torn.stat().st_size < whole.stat().st_size
        assert not (folder / "checkpoint-4" / SEAL).exists() and is_whole(folder / "checkpoint-2")
    resumed = processes(2, folder, **options)
    assert len(resumed) == 5 and resumed == straight[-5:]  # steps 3 to 6 and the weights


WATCHED: dict[str, dict[str, Any]] = {
    "held_out": {"held_out": {"share": 0.4, "every": 1, "patience": 3}, "max_steps": 60},
    "ema": {"ema": 0.75, "max_steps": 20},
    "both": {"held_out": {"share": 0.4, "every": 2, "patience": 2}, "ema": 0.75, "max_steps": 60},
}


@pytest.mark.slow
@pytest.mark.parametrize("case", WATCHED)
@pytest.mark.parametrize("zero", [None, 2])
def test_held_out_and_average_on_two_processes(tmp_path: Path, one_thread: None, case: str, zero: int | None) -> None:
    """Looks, the step that they end, the step whose weights are kept, and these weights are those of one process."""
    alone = fitted(tmp_path / "alone", **WATCHED[case])
    found = processes(2, tmp_path / "two", fit=True, zero=zero, **WATCHED[case])
    assert len(found) == len(alone) > 2
    for mine, theirs in zip(found[:-1], alone[:-1], strict=True):
        assert mine == pytest.approx(theirs, rel=1e-4)
    assert found[-1]["processes"] == 2 and found[-1]["steps"] == alone[-1]["steps"]
    if "held_out" in WATCHED[case]:
        assert found[-1]["held_out"] == pytest.approx(alone[-1]["held_out"], rel=1e-4)
        assert 1 < alone[-1]["held_out"]["best_step"] < alone[-1]["steps"] < 60
    kept = [load_file(tmp_path / name / FILE) for name in ("alone", "two")]
    assert all(torch.allclose(value, kept[1][name], rtol=1e-3, atol=1e-5) for name, value in kept[0].items())
