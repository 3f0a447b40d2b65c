"""`sft` through the worker: what is trained, the gates, adapters, pad equal to eos, kills."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from data_gen.engines.base import LM, Sample, Sampling
from data_gen.engines.programs import run_programs
from data_gen.errors import UserError
from data_gen.records.problem import Problem
from data_gen.tasks.chain import Chain
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import GateError, Input
from reasoning_train.models import policy as policy_module
from reasoning_train.models.engine import in_process
from reasoning_train.models.policy import Policy, load_policy, save_policy
from reasoning_train.stages.sft import SFTConfig
from reasoning_train.store.inputs import read_problems
from reasoning_train.store.plan_json import write_plan
from reasoning_train.store.store import Artifact
from tests.reasoning_train.bench import CHAIN, Bench, points, solution, weights

ROOT = Path(__file__).parents[3]
FEW = {**CHAIN, "train": 4, "steps": [1, 1]}


def train(
    bench: Bench, name: str = "tuned", *, policy: str = "model", data: Ref | None = None, **config: Any
) -> Artifact:
    fixed: dict[str, Any] = {"learning_rate": 0.01, "batch_size": 4, "max_steps": 3}
    return bench.make(name, "sft", policy=Ref(policy), data=data or Ref("gold"), **{**fixed, **config})


@pytest.fixture
def kitchen(bench: Bench, one_thread: None) -> Bench:
    """A fresh policy and 24 gold solutions."""
    bench.model()
    bench.gold()
    return bench


def test_counts_curves_and_the_format_of_the_policy(kitchen: Bench) -> None:
    artifact = train(kitchen, max_steps=20)
    assert artifact.manifest["counts"] == {"in": 24, "out": 24}
    assert artifact.manifest["metrics"]["steps"] == 20
    quantiles = artifact.manifest["metrics"]["length_quantiles"]
    assert 20 < quantiles["p50"] <= quantiles["p90"] <= quantiles["p99"] <= quantiles["p100"] < 60
    assert '"loss"' in (artifact.path / "history.jsonl").read_text()
    assert (
        load_policy(artifact.path / "model").format
        == load_policy(kitchen.store.open(kitchen.nodes["model"]).path / "model").format
    )


def test_a_token_budget_ends_the_training(kitchen: Bench) -> None:
    rows = [replace(solution("a", "12 + 5 = 17"), sample=i) for i in range(9)]  # eight trained tokens each
    data = kitchen.solutions("eights", rows)
    artifact = train(kitchen, data=data, max_steps=None, max_trained_tokens=90)
    assert artifact.manifest["metrics"]["trained_tokens"] == 88
    assert artifact.manifest["metrics"]["steps"] == 3  # of four, four and three rows
    again = train(kitchen, "again", data=data, max_steps=None, max_trained_tokens=90, packing="none")
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*map(_values, (artifact, again)), strict=True))


def _values(artifact: Artifact) -> list[torch.Tensor]:
    return [tensor for _, tensor in sorted(weights(artifact).items())]


@pytest.mark.parametrize("other", ["epochs", "max_steps"])
def test_a_token_budget_stands_alone(other: str) -> None:
    with pytest.raises(ValueError, match=f"{other}: `max_trained_tokens` says how long to train"):
        SFTConfig(policy=Ref("m"), data=Ref("d"), learning_rate=1, max_trained_tokens=100, **{other: 2})


def test_training_is_repeatable_and_seeded(kitchen: Bench) -> None:
    first, again, other = (weights(train(kitchen, name, seed=seed)) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert not all(torch.equal(value, other[name]) for name, value in first.items())


def test_over_long_rows_are_gated(kitchen: Bench) -> None:
    with pytest.raises(
        GateError, match=r"sft: \d+ of 24 rows dropped \(\d+ over max_length=40 tokens, 0 cut when sampled\)"
    ) as caught:
        train(kitchen, max_length=40)
    assert "more than max_dropped=0.05. Raise `max_length` or the sampling's `max_tokens`" in str(caught.value)
    assert re.search(
        r"The first over max_length=40 tokens: problem 'chain/train/\d+', (4[1-9]|5\d) tokens, '\w+", str(caught.value)
    )
    artifact = train(kitchen, "lenient", max_length=40, max_dropped=1.0)
    counts = artifact.manifest["counts"]
    assert 0 < counts["dropped.too_long"] < 24
    assert counts["out"] + counts["dropped.too_long"] == counts["in"] == 24


def test_cut_rows_are_gated(kitchen: Bench) -> None:
    rows = [solution(f"p{i}", "12 + 8 = 20\n", finish="length" if i < 2 else "stop") for i in range(4)]
    data = kitchen.solutions("samples", rows)
    with pytest.raises(
        GateError, match=r"sft: 2 of 4 rows dropped \(0 over max_length=128 tokens, 2 cut when sampled\)"
    ):
        train(kitchen, data=data)


def test_too_few_rows_are_gated(kitchen: Bench) -> None:
    with pytest.raises(GateError, match="sft: 24 rows to train on, fewer than min_rows=25 "):
        train(kitchen, min_rows=25)


def test_until_that_is_not_reached_says_what_to_change(kitchen: Bench) -> None:
    until = {"problems": Ref("gold.problems"), "accuracy": 1.0, "every": 2, "limit": 4, "max_tokens": 8}
    with pytest.raises(
        GateError, match=re.escape("did not reach until.accuracy=1.0 in 3 steps (last: 0.000). Raise `max_steps`")
    ):
        train(kitchen, until=until)


def finishes(policy: Policy, problems: list[Problem]) -> list[Sample]:
    async def program(problem: Problem, lm: LM) -> Sample:
        [sample] = await lm.generate(
            policy.codec.prompt_ids(problem.question), 1, Sampling(max_tokens=40, temperature=0.0)
        )
        return sample

    return [s for _, s in run_programs(in_process(policy), problems, program, seed=0, key=lambda p: p.id, in_flight=8)]


def test_pad_equal_to_eos_trains_the_end_and_stops(bench: Bench, one_thread: None) -> None:
    """As SmolLM2 ships it. Where pads are masked by id, the end is never learned and generation runs on."""
    bench.model()
    bench.gold(task=FEW)
    policy = load_policy(bench.store.open(bench.nodes["model"]).path / "model")
    policy.tokenizer.pad_token = policy.tokenizer.eos_token
    policy.model.config.pad_token_id = policy.tokenizer.eos_token_id
    folder = bench.store.root.parent / "padded"
    folder.mkdir()
    save_policy(policy, folder)
    bench.make("padded", "model", path=str(folder))
    untrained = finishes(policy, list(read_problems(problems_input(bench))))
    until = {"problems": Ref("gold.problems"), "accuracy": 1.0, "every": 20, "max_tokens": 40}
    artifact = train(
        bench, policy="padded", learning_rate=0.02, max_steps=400, schedule="constant", packing="none", until=until
    )
    tuned = load_policy(artifact.path / "model")
    assert tuned.tokenizer.pad_token_id == tuned.tokenizer.eos_token_id
    samples = finishes(tuned, list(read_problems(problems_input(bench))))
    assert [s.finish for s in samples] == ["stop"] * 4
    assert all(s.token_ids[-1] == tuned.tokenizer.eos_token_id for s in samples)
    assert [s.finish for s in untrained] != ["stop"] * 4
    assert artifact.manifest["metrics"]["dev_accuracy"] == 1.0
    assert artifact.manifest["metrics"]["steps"] < 400


@pytest.mark.parametrize("max_steps", [400, None])
def test_killed_after_until_was_reached(
    bench: Bench, one_thread: None, monkeypatch: pytest.MonkeyPatch, max_steps: int | None
) -> None:
    """Between the stop and the published model: the rerun stops at the same step, also where that is the last one, with
    a checkpoint."""
    bench.model()
    bench.gold(task=FEW)
    until = {"problems": Ref("gold.problems"), "accuracy": 0.2, "every": 5, "max_tokens": 40}
    config: dict[str, Any] = {"learning_rate": 0.02, "schedule": "constant", "save_every": 5, "until": until}
    undisturbed = train(bench, "undisturbed", max_steps=400, **config)
    reached = undisturbed.manifest["metrics"]["steps"]

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(policy_module, "save_policy", die)
        with pytest.raises(KeyboardInterrupt):
            train(bench, "killed", max_steps=max_steps or reached, **config)
    resumed = bench.run("killed")
    assert resumed.manifest["attempts"] == 2
    assert resumed.manifest["metrics"]["steps"] == reached
    assert resumed.manifest["metrics"]["dev_accuracy"] == undisturbed.manifest["metrics"]["dev_accuracy"]
    assert all(torch.equal(value, weights(resumed)[name]) for name, value in weights(undisturbed).items())


def problems_input(bench: Bench) -> Input:
    artifact = bench.store.open(bench.nodes["gold.problems"])
    return Input(path=artifact.path / "data", kind="problems", manifest=artifact.manifest)


def logits(folder: Path) -> torch.Tensor:
    with torch.no_grad():
        return load_policy(folder).model(input_ids=torch.tensor([[3, 9, 14, 8]])).logits


def test_merged_adapters_equal_kept_ones(kitchen: Bench) -> None:
    merged = train(kitchen, "merged", lora={"r": 4}, adapter="merge").path / "model"
    kept = train(kitchen, "kept", lora={"r": 4}, adapter="keep").path / "model"
    assert (merged / "model.safetensors").exists() and not (merged / "adapter_model.safetensors").exists()
    assert (kept / "adapter_model.safetensors").exists() and not (kept / "model.safetensors").exists()
    assert torch.allclose(logits(merged), logits(kept), atol=1e-5)
    assert not torch.allclose(
        logits(merged), logits(kitchen.store.open(kitchen.nodes["model"]).path / "model"), atol=1e-3
    )


def test_training_goes_on_from_merged_adapters_as_from_kept_ones(kitchen: Bench) -> None:
    """The adapters' own curves are one, as merging comes last; so are those of the weights that are trained next."""
    first = {
        adapter: train(kitchen, adapter, lora={"r": 4}, adapter=adapter, max_steps=20) for adapter in ("merge", "keep")
    }
    assert points(first["merge"]) == points(first["keep"])
    after = {adapter: train(kitchen, f"after {adapter}", policy=adapter, max_steps=20) for adapter in ("merge", "keep")}
    assert len(points(after["merge"])) == 2
    for one, other in zip(points(after["merge"]), points(after["keep"]), strict=True):
        assert one == pytest.approx(other, rel=1e-4)


def test_adapters_train_the_linear_layers_only(kitchen: Bench) -> None:
    before = weights(kitchen.store.open(kitchen.nodes["model"]))
    after = weights(train(kitchen, lora={"r": 4}))
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed == {name for name in before if "_proj" in name}


def test_a_kept_adapter_can_be_trained_on(kitchen: Bench) -> None:
    kept = train(kitchen, "kept", lora={"r": 4}, adapter="keep").path / "model"
    whole = train(kitchen, "whole", policy="kept").path / "model"
    assert (whole / "model.safetensors").exists()
    again = train(kitchen, "again", policy="kept", lora={"r": 2}).path / "model"
    assert not torch.allclose(logits(whole), logits(kept), atol=1e-4)
    assert not torch.allclose(logits(again), logits(kept), atol=1e-4)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the refusal is for machines without a GPU")
def test_qlora_without_a_gpu_is_refused(kitchen: Bench) -> None:
    with pytest.raises(
        GateError, match=re.escape("lora.bits=4 (QLoRA) needs a CUDA device; this machine has none. Leave `bits` out")
    ):
        train(kitchen, lora={"bits": 4})


def test_curves_go_to_tensorboard_beside_the_model(kitchen: Bench) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    artifact = train(kitchen, max_steps=20, report_to=["tensorboard"])
    [events] = (artifact.path / "model" / "runs").iterdir()
    curves = EventAccumulator(str(events.parent)).Reload()
    assert [event.step for event in curves.Scalars("train/loss")] == [10, 20]
    assert not (train(kitchen, "quiet", max_steps=20).path / "model" / "runs").exists()


@pytest.mark.skipif(importlib.util.find_spec("wandb") is not None, reason="the refusal is for machines without it")
def test_a_tracker_that_is_not_installed_is_named(kitchen: Bench) -> None:
    with pytest.raises(
        UserError, match="report_to: the package 'wandb' is not installed here. `pip install wandb`, or leave it out"
    ):
        train(kitchen, report_to=["wandb"])


def test_a_misspelt_tracker_is_refused_before_anything_runs() -> None:
    with pytest.raises(ValueError, match="'tensorboard', 'wandb' or 'trackio'"):
        SFTConfig(policy=Ref("m"), data=Ref("d"), learning_rate=0.1, report_to=["tensorboad"])


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """A disk that takes no file of more bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.pt"])
def test_a_full_disk_while_a_checkpoint_is_written(kitchen: Bench, file: str) -> None:
    """The optimizer's state is twice the weights, so the limit chooses which of the two files fails."""
    config: dict[str, Any] = {"max_steps": 6, "save_every": 2}
    undisturbed = train(kitchen, "undisturbed", **config)
    size = (undisturbed.path / "model" / "model.safetensors").stat().st_size
    with largest_file(size // 2 if file == "model.safetensors" else size * 3 // 2), pytest.raises(UserError) as caught:
        train(kitchen, "full", **config)
    assert str(caught.value).startswith("No space left to write")
    assert "rerun the same command" in str(caught.value)
    assert kitchen.store.find(kitchen.nodes["full"]) is None
    rerun = kitchen.run("full")
    assert all(torch.equal(value, weights(rerun)[name]) for name, value in weights(undisturbed).items())


def start_worker(bench: Bench, name: str) -> subprocess.Popen[bytes]:
    """The stage in a process of its own, which can be killed."""
    plan = bench.store.root / "plan.json"
    write_plan(plan, bench.plan)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.reasoning_train.stage_process", str(plan), str(bench.store.root), name]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["training", "writing a checkpoint", "saving the model"])
def test_killed_training_continues_to_the_same_weights(kitchen: Bench, moment: str) -> None:
    config: dict[str, Any] = {
        "policy": Ref("model"),
        "data": Ref("gold"),
        "learning_rate": 0.01,
        "batch_size": 4,
        "max_steps": 120,
        "save_every": 10,
    }
    kitchen.add("tuned", "sft", **config)
    partial = kitchen.store.partial(kitchen.nodes["tuned"])
    signs = {
        "training": "**/checkpoint-30/whole.json",
        "writing a checkpoint": "**/checkpoint-40/optimizer.pt",
        "saving the model": "**/model",
    }
    process = start_worker(kitchen, "tuned")
    end = time.monotonic() + 120
    while not any(partial.glob(signs[moment])) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.002)
    assert process.poll() is None, "the stage ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert kitchen.store.find(kitchen.nodes["tuned"]) is None
    resumed = kitchen.run("tuned")
    assert resumed.manifest["attempts"] == 2
    digest = (resumed.path / "model" / "model.safetensors").read_bytes()
    shutil.rmtree(resumed.path)
    undisturbed = kitchen.run("tuned")
    assert undisturbed.manifest["attempts"] == 1
    assert (undisturbed.path / "model" / "model.safetensors").read_bytes() == digest


def test_the_tiny_chain_task_is_what_these_tests_think() -> None:
    assert [len(p.gold_steps) for p in Chain.model_validate(FEW).problems("train")] == [1] * 4


def test_until_under_zero3_is_refused(kitchen: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")  # as torchrun with one process sets it
    kitchen.problems("dev", [])
    until = {"problems": Ref("dev"), "accuracy": 0.5}
    kitchen.add("tuned", "sft", policy=Ref("model"), data=Ref("gold"), learning_rate=0.01, max_steps=1, until=until)
    kitchen.nodes["tuned"] = replace(kitchen.nodes["tuned"], resources={"deepspeed": "zero3"})
    with pytest.raises(
        GateError, match=r"`until` decodes with the policy, which ZeRO-3 \(resources.deepspeed='zero3'\) shards"
    ):
        kitchen.run("tuned")


def test_deepspeed_needs_torchrun(kitchen: Bench) -> None:
    """A plain run says how to start the stage."""
    node = "tuned"
    kitchen.add(node, "sft", policy=Ref("model"), data=Ref("gold"), learning_rate=0.01, batch_size=4, max_steps=1)
    kitchen.nodes[node] = replace(kitchen.nodes[node], resources={"deepspeed": "zero2"})
    with pytest.raises(
        UserError, match="this process was started alone. Run the recipe with `--launcher torchrun --nproc 2`"
    ):
        kitchen.run(node)
