"""One stage, started by whom it may: alone, by `run --launcher`, torchrun, `deepspeed` or `accelerate launch`; stopped
by a signal."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from launch.cli import main
from reasoning_train.recipe.load import load_plan
from reasoning_train.store.store import Store
from tests.launch import plugin_stages
from tests.launch.harness import ROOT, files, wait_until

RECIPE = """
name: launched
include: [configs/tasks/chain.yaml]
model: {init: {hidden_size: 32, layers: 1, heads: 2, intermediate_size: 64, max_length: 256, init_std: 0.12},
  tokenizer: task}
task: {train: 400, explore: 12, dev: 4, test: 4, steps: [1, 2]}
stages:
  base: {uses: sft, policy: "${model}", data: "${task.train.gold}", learning_rate: 0.01, batch_size: 8,
    max_steps: 150, micro_tokens: 512}
  sample: {uses: sample, policy: "${stages.base}", problems: "${task.explore}", n: 4, max_tokens: 48}
"""
LAUNCHERS: dict[str, Sequence[str]] = {
    "torchrun": ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
    "deepspeed": ("-m", "deepspeed.launcher.runner", "--num_gpus", "2", "--master_port", "29731", "--module"),
    "accelerate": (
        "-m",
        "accelerate.commands.launch",
        "--multi_gpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
        "--mixed_precision",
        "no",
        "--dynamo_backend",
        "no",
        "--main_process_port",
        "29733",
    ),
}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "recipe.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def alone(recipe: Path) -> Path:
    """The store of a plain run."""
    store = recipe.parent / "alone"
    done = command("-m", "launch.cli", "run", str(recipe), "--store", str(store))
    assert done.returncode == 0, done.stdout + done.stderr
    return store


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"}
    environment["REASONING_TRAIN_PLUGINS"] = plugin_stages.NAME
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def check_base(recipe: Path, store: Path, alone: Path) -> None:
    """Trained by two processes: weights within float32 noise of one's."""
    import torch
    from safetensors.torch import load_file

    node = load_plan(recipe).nodes["base"]
    mine, theirs = (Store(root).folder(node) / "model" / "model.safetensors" for root in (store, alone))
    tensors = load_file(mine)
    assert all(
        torch.allclose(tensor, tensors[name], rtol=1e-3, atol=1e-4) for name, tensor in load_file(theirs).items()
    )
    manifest = json.loads((Store(store).folder(node) / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["metrics"]["processes"] == 2


def check_sample(recipe: Path, store: Path, alone: Path) -> None:
    """Sampled by two shards from one base: rows to the byte."""
    node = load_plan(recipe).nodes["sample"]
    assert files(Store(store).folder(node)) == files(Store(alone).folder(node))
    manifest = json.loads((Store(store).folder(node) / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["attempts"] == 2, "one a shard"


def without(alone: Path, store: Path, *uses: str) -> Path:
    """A copy of a store less the artifacts of some stage types."""
    shutil.copytree(alone, store, ignore=shutil.ignore_patterns("runs", "locks", *(f"{one}-*" for one in uses)))
    return store


@pytest.mark.slow
def test_run_with_a_launcher(recipe: Path, alone: Path, tmp_path: Path) -> None:
    """Trainers train in two processes, the sampler's ranks are shards."""
    launched = ("--launcher", "torchrun", "--nproc", "2")
    for uses, check in ((("sft", "sample"), check_base), (("sample",), check_sample)):
        store = without(alone, tmp_path / uses[0], *uses)
        done = command("-m", "launch.cli", "run", str(recipe), "--store", str(store), *launched)
        assert done.returncode == 0, done.stdout + done.stderr
        check(recipe, store, alone)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_stage_does_not_care_who_started_it(recipe: Path, alone: Path, tmp_path: Path, launcher: str) -> None:
    module = ("reasoning_train.stage",) if launcher == "deepspeed" else ("-m", "reasoning_train.stage")
    for stage, uses, check in (("base", ("sft", "sample"), check_base), ("sample", ("sample",), check_sample)):
        store = without(alone, tmp_path / stage, *uses)
        done = command(*LAUNCHERS[launcher], *module, str(recipe), stage, "--store", str(store))
        assert done.returncode == 0, f"{stage}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        check(recipe, store, alone)


@pytest.mark.slow
def test_the_first_failing_rank_is_what_the_user_sees(recipe: Path, alone: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    text = recipe.read_text(encoding="utf-8")
    broken.write_text(text.replace("max_steps: 150", "max_steps: 5, max_length: 3, max_dropped: 0.0"), encoding="utf-8")
    done = command(
        "-m", "launch.cli", "run", str(broken), "--store", str(tmp_path), "--launcher", "torchrun", "--nproc", "2"
    )
    assert done.returncode == 1
    assert "base  failed: sft: no rows of task.train.gold to train on" in done.stdout
    assert done.stdout.count("failed:") == 1 and "sample  not run: needs base" in done.stdout


def test_launcher_and_nproc_go_together(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(recipe), "--nproc", "2"]) == 2
    assert "--launcher and --nproc: give both" in capsys.readouterr().err


def test_deepspeed_alone_is_told_before_anything_runs(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(recipe), "--store", str(tmp_path), "--set", "stages.base.resources.deepspeed=zero2"]) == 2
    said = capsys.readouterr().err
    assert (
        "base: resources.deepspeed is 'zero2', which shares the work of several processes. "
        "Run with `--launcher torchrun --nproc 2`" in said
    )
    assert not list(tmp_path.iterdir())


def numbers(tmp_path: Path, n: int = 12) -> Path:
    path = tmp_path / "numbers.yaml"
    path.write_text(f"name: numbers\nstages:\n  a: {{uses: t_numbers, n: {n}, sleep_s: 0.2}}\n", encoding="utf-8")
    return path


def start(path: Path, tmp_path: Path, *more: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "REASONING_TRAIN_PLUGINS": plugin_stages.NAME}
    line = [sys.executable, "-m", "launch.relay", "USR2", sys.executable, "-m", "reasoning_train.stage", str(path), "a"]
    return subprocess.Popen(
        [*line, "--store", str(tmp_path / "store"), "--note", str(tmp_path / "note"), *more],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def test_a_data_stage_finishes_its_problem_and_stops(tmp_path: Path) -> None:
    path = numbers(tmp_path)
    process = start(path, tmp_path)
    log = tmp_path / "store"
    wait_until(lambda: sum(one.read_bytes().count(b"\n") for one in log.glob("artifacts/*.partial/log-*")) >= 3)
    process.send_signal(signal.SIGUSR2)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 75 and "stopped on request; progress is kept" in output
    assert (tmp_path / "note.began").exists() and (tmp_path / "note.stopped").exists()
    kept = sum(one.read_bytes().count(b"\n") for one in log.glob("artifacts/*.partial/log-*"))
    assert 3 <= kept < 12
    assert start(path, tmp_path).wait(30) == 0
    [manifest] = log.glob("artifacts/t_numbers-*/manifest.json")
    found = json.loads(manifest.read_text(encoding="utf-8"))
    assert (
        found["outputs"]["data"]["rows"] == 24
        and found["log"]["duplicates"] == 0
        and found["counts"]["tokens.generated"] == 66
    )


def test_a_signal_that_comes_before_the_worker_listens_is_not_lost(tmp_path: Path) -> None:
    """torchrun and Python's start would die of it; held back it waits for the worker."""
    process = start(numbers(tmp_path), tmp_path)
    while not _blocked(process.pid, signal.SIGUSR2):  # by `relay`, long before the worker has imported anything
        time.sleep(0.01)
    process.send_signal(signal.SIGUSR2)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 75, output
    assert not list((tmp_path / "store").glob("artifacts/t_numbers-????????????????"))


def _blocked(pid: int, number: signal.Signals) -> bool:
    """Whether a process holds a signal back (Linux)."""
    [mask] = [line.split()[1] for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "SigBlk" in line]
    return bool(int(mask, 16) >> (number - 1) & 1)


def test_a_job_of_a_recipe_that_has_changed_is_refused(tmp_path: Path) -> None:
    process = start(numbers(tmp_path), tmp_path, "--key", "0123456789abcdef")
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 2
    assert (
        "not 0123456789abcdef: since the job was submitted the code or a file that the recipe names has changed"
        in output
    )


def test_merging_needs_every_shard(tmp_path: Path) -> None:
    path = numbers(tmp_path, 3)
    for shard in ("0/3", "2/3"):
        assert start(path, tmp_path, "--shard", shard).wait(30) == 0
    process = start(path, tmp_path, "--merge-only")
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "a: 1 of 3 shards are unfinished: 1. Run them first (`--shard K/N`), or leave out --merge-only" in output
    assert start(path, tmp_path, "--shard", "1/3").wait(30) == 0
    assert start(path, tmp_path, "--merge-only").wait(30) == 0


def test_shards_leave_notes_of_their_own(tmp_path: Path) -> None:
    assert start(numbers(tmp_path, 2), tmp_path, "--shard", "0/2", "--note", str(tmp_path / "a.shard.0")).wait(30) == 0
    assert (tmp_path / "a.shard.0.began").exists() and not (tmp_path / "a.shard.0.stopped").exists()


def test_a_worker_stops_by_the_clock(tmp_path: Path) -> None:
    process = start(numbers(tmp_path, 50), tmp_path, "--stop-after", "3")
    assert process.wait(30) == 75


@pytest.mark.slow
def test_the_signal_reaches_the_workers_of_torchrun(recipe: Path, alone: Path, tmp_path: Path) -> None:
    """Only the process that SLURM started is signalled, as under cgroups; the workers save and stop, and go on when
    started again."""
    without(alone, tmp_path / "store")
    long = tmp_path / "long.yaml"
    long.write_text(recipe.read_text(encoding="utf-8").replace("max_steps: 150", "max_steps: 3000"), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    line = [
        sys.executable,
        "-m",
        "launch.relay",
        "USR2",
        sys.executable,
        *LAUNCHERS["torchrun"],
        "-m",
        "reasoning_train.stage",
        str(long),
        "base",
    ]
    process = subprocess.Popen(
        [*line, "--store", str(tmp_path / "store"), "--note", str(tmp_path / "note")],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    wait_until(lambda: list((tmp_path / "store").glob("artifacts/sft-*.partial/history-*")), 120)
    process.send_signal(signal.SIGUSR2)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and output.count("stopped on request") == 2, output[-2000:]
    assert (tmp_path / "note.stopped").exists()
    assert len(list((tmp_path / "store").rglob("checkpoint-*/whole.json"))) == 1


def test_helpers_of_a_worker_do_not_die_of_its_signal(tmp_path: Path) -> None:
    """Some systems signal every process of a job; what a worker starts inherits the block."""
    code = (
        "import signal, subprocess, sys, time; from reasoning_train.process import stopping;"
        "stopping.on(signal.SIGUSR2);"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1)']); time.sleep(0.3);"
        "child.send_signal(signal.SIGUSR2); assert child.wait() == 0; assert not stopping.asked();"
        "import os; os.kill(os.getpid(), signal.SIGUSR2); time.sleep(0.3); assert stopping.asked() and "
        "stopping.requeue()"
    )
    assert command("-c", code).returncode == 0


def test_termination_stops_without_asking_for_another_start(tmp_path: Path) -> None:
    process = start(numbers(tmp_path, 50), tmp_path, "--stop-on-term")
    wait_until(lambda: list((tmp_path / "store").glob("artifacts/*.partial/log-*")))
    process.send_signal(signal.SIGTERM)  # `relay` hands it on
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 75 and "progress is kept" in output
    assert not (tmp_path / "note.stopped").exists() and (tmp_path / "note.terminated").exists()


def test_a_rank_that_waits_for_a_stopped_shard_stops_too(tmp_path: Path) -> None:
    """Rank 0 is done with its shard when the signal comes; the other leaves its own unfinished."""
    path = tmp_path / "uneven.yaml"
    path.write_text("name: uneven\nstages:\n  a: {uses: t_uneven, n: 40}\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "REASONING_TRAIN_PLUGINS": plugin_stages.NAME}
    held = [
        sys.executable,
        "-m",
        "launch.relay",
        "USR2",
        sys.executable,
        *LAUNCHERS["torchrun"],
        "-m",
        "reasoning_train.stage",
    ]
    process = subprocess.Popen(
        [*held, str(path), "a", "--store", str(tmp_path / "store"), "--note", str(tmp_path / "note")],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    states = tmp_path / "store" / "artifacts"
    wait_until(
        lambda: any('"done": true' in one.read_text() for one in states.glob("*.partial/attempts-0-of-2.json")), 60
    )
    process.send_signal(signal.SIGUSR2)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0 and output.count("stopped on request") == 2, output[-2000:]
    assert (tmp_path / "note.stopped").exists() and not list(states.glob("t_uneven-????????????????"))
