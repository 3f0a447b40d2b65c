"""`grpo` through the worker: what is learnt and counted, resuming, what is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from data_gen.verifiers.heads import HeadConfig
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import GateError
from reasoning_train.recipe.asked import asked
from reasoning_train.stages.grpo import GRPOConfig
from reasoning_train.store.store import Artifact
from reasoning_train.trainers.rl import trl_adapter
from reasoning_train.trainers.rl.trl_adapter import Checkpoints
from reasoning_train.worker.context import WorkerContext
from tests.reasoning_train.bench import CHAIN, Bench, points, problem, rows_of, weights

FEW = {**CHAIN, "train": 4, "steps": [1, 1]}
FIXED: dict[str, Any] = {
    "learning_rate": 6e-4,
    "batch_size": 32,
    "n": 8,
    "max_steps": 2,
    "max_tokens": 24,
    "schedule": "constant",
}


@pytest.fixture
def kitchen(bench: Bench, one_thread: None) -> Bench:
    bench.model()
    return half_taught(bench)


def half_taught(bench: Bench, steps: int = 30) -> Bench:
    """A policy, `half`, that solves its four problems half of the time."""
    bench.gold(task=FEW)
    bench.make("half", "sft", policy=Ref("model"), data=Ref("gold"), learning_rate=0.01, batch_size=4, max_steps=steps)
    return bench


def train(
    bench: Bench, name: str = "tuned", *, policy: str = "half", problems: str = "gold.problems", **config: Any
) -> Artifact:
    return bench.make(name, "grpo", policy=Ref(policy), problems=Ref(problems), **{**FIXED, **config})


def same(a: Artifact, b: Artifact) -> bool:
    mine, other = weights(a), weights(b)
    return all(torch.equal(value, other[name]) for name, value in mine.items())


@pytest.mark.parametrize("loss", ["grpo", "rloo"])
def test_reward_grows(kitchen: Bench, loss: str) -> None:
    artifact = train(kitchen, loss=loss, max_steps=40)
    rewards = [point["reward"] for point in points(artifact)]
    assert len(rewards) == 40
    assert sum(rewards[-15:]) / 15 > sum(rewards[:10]) / 10 + 0.08
    counts, kinds = artifact.manifest["counts"], ("mixed", "all_right", "all_wrong", "unverifiable")
    assert counts["samples"] == 40 * 32
    assert sum(counts.get(f"groups.{kind}", 0) for kind in kinds) == 40 * 4
    assert 40 * 32 < counts["tokens.generated"] <= 40 * 32 * 24
    assert {"reward", "reward_std", "kl", "tokens_a_sample", "cut", "loss", "grad_norm", "learning_rate"} <= points(
        artifact
    )[0].keys()
    assert artifact.manifest["metrics"]["steps"] == 40
    assert artifact.manifest["metrics"]["last_reward"] == rewards[-1]


def dying(save: Any) -> Any:
    """Stands for a kill once the checkpoint of step 4 is whole."""

    def save_and_die(self: Checkpoints, args: Any, state: Any, control: Any, **more: Any) -> None:
        save(self, args, state, control, **more)
        if state.global_step == 4:
            raise KeyboardInterrupt

    return save_and_die


@pytest.mark.parametrize("config", [{}, {"loss": "rloo", "beta": 0.05}, {"micro_tokens": 500}], ids=str)
def test_resumed_equals_straight_bitwise(
    kitchen: Bench, monkeypatch: pytest.MonkeyPatch, config: dict[str, Any]
) -> None:
    """Order of problems, completions, optimizer, reference and counts; `micro_tokens`: several passes a step."""
    straight = train(kitchen, "straight", max_steps=5, save_every=2, **config)
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "on_save", dying(Checkpoints.on_save))
        with pytest.raises(KeyboardInterrupt):
            train(kitchen, "killed", max_steps=5, save_every=2, **config)
    resumed = kitchen.run("killed")
    assert same(resumed, straight)
    assert resumed.manifest["counts"] == straight.manifest["counts"]
    assert [point["step"] for point in points(resumed)] == [1, 2, 3, 4, 5]


def test_passes_do_not_matter(kitchen: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is learnt is the same in one pass and in several, up to rounding."""
    passes, make = list[int](), trl_adapter.make_trainer

    def made(*given: Any) -> Any:
        passes.append(given[-1]["gradient_accumulation_steps"])
        return make(*given)

    monkeypatch.setattr(trl_adapter, "make_trainer", made)
    whole, cut = train(kitchen, "whole"), train(kitchen, "cut", micro_tokens=300)
    assert passes[0] == 1 < passes[1]
    written = {"policy": Ref("half"), "problems": Ref("gold.problems"), **FIXED}
    assert asked(GRPOConfig(**written, micro_tokens=300)) == asked(GRPOConfig(**written))
    assert [point["reward"] for point in points(whole)] == [point["reward"] for point in points(cut)]
    for name, value in weights(whole).items():
        assert torch.allclose(value, weights(cut)[name], rtol=1e-4, atol=2e-5), name


def test_what_is_shown_of_the_prompts(kitchen: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    artifact = train(kitchen)
    [question, *_] = [row["question"] for row in rows_of(kitchen.store.open(kitchen.nodes["gold.problems"]))]
    assert re.search(
        rf"grpo: 4 of 4 problems; tokens of a prompt: .*; the first prompt:\n{re.escape(question)}",
        capsys.readouterr().out,
    )
    assert artifact.manifest["metrics"]["length_quantiles"]["p100"] > 10


def test_without_a_step_the_policy_is_its_own_reference(kitchen: Bench) -> None:
    [first, second] = points(train(kitchen, beta=0.1, learning_rate=1e-3))
    assert first["kl"] == pytest.approx(0, abs=1e-6)
    assert second["kl"] > 1e-5


def test_published_folders_name_no_folder_of_this_machine(kitchen: Bench) -> None:
    artifact = train(kitchen, beta=0.1)
    assert str(kitchen.store.root) not in (artifact.path / "model" / "config.json").read_text()
    assert not list(artifact.path.rglob("*.bin"))


def test_adapters_are_merged(kitchen: Bench) -> None:
    before, after = (
        kitchen.store.open(kitchen.nodes["half"]),
        train(kitchen, lora={"r": 4, "alpha": 8}, beta=0.1, learning_rate=0.01),
    )
    assert weights(before).keys() == weights(after).keys()
    assert not same(before, after)
    assert points(after)[0]["kl"] == pytest.approx(0, abs=1e-6)


def test_a_verifier_shapes_the_reward(kitchen: Bench) -> None:
    """Right solutions earn in (0, 1), wrong ones in (-1, 0), so the mean is no longer the pass rate."""
    kitchen.verifier(
        head=HeadConfig().model_dump(mode="json"),
        task_format=kitchen.policy("half").format.task.model_dump(mode="json"),
    )
    plain, made = points(train(kitchen, "plain"))[0], train(kitchen, verifier=Ref("verifier"))
    assert plain["reward"] - 1 < points(made)[0]["reward"] < plain["reward"]
    assert made.manifest["counts"]["tokens.scored"] > made.manifest["counts"]["tokens.generated"]


def test_unverifiable_groups_teach_nothing(kitchen: Bench) -> None:
    rows = [
        problem(f"p{i}", f"Ana has {i} coins. Ben has 1 more than Ana. How many has Ben?", gold=None) for i in range(4)
    ]
    kitchen.problems("unknown", rows, task=FEW)
    with pytest.raises(
        GateError, match=r"no group had both right and wrong solutions \(0 all right, 0 all wrong, 8 unverifiable; "
    ):
        train(kitchen, problems="unknown", beta=0.5)


def test_zero_3_is_refused_unless_a_server_draws(kitchen: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    original = WorkerContext.__init__

    def with_zero_3(self: WorkerContext, **more: Any) -> None:
        original(self, **more)
        self.deepspeed = "zero3"

    monkeypatch.setattr(WorkerContext, "__init__", with_zero_3)
    with pytest.raises(
        GateError,
        match=r"ZeRO-3 \(resources.deepspeed='zero3'\) shards. Use zero2, or draw them from a server: `vllm: ",
    ):
        train(kitchen)
    with pytest.raises(GateError, match="`vllm` needs a CUDA device; this machine has none"):  # past the first gate
        train(kitchen, "served", vllm={"mode": "server", "base_url": "http://localhost:8000"})


def test_what_cannot_be_dealt_or_does_not_fit(kitchen: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="batch_size: 12 solutions do not make whole groups of n=8"):
        train(kitchen, batch_size=12)
    with pytest.raises(ValueError, match="mean_over: rloo weights whole solutions"):
        train(kitchen, loss="rloo", mean_over="tokens")
    with pytest.raises(
        GateError,
        match=r"grpo: 0 problems, fewer than the 4 that a step takes \(4 leave no room for max_tokens=120 within .*"
        r" The first without room: problem 'chain/train/0', \d+ tokens, '",
    ):
        train(kitchen, max_tokens=120)
    with pytest.raises(GateError, match=r"grpo: 4 problems, fewer than the 8 that a step takes"):
        train(kitchen, "wide", batch_size=64)
    config = GRPOConfig(policy=Ref("half"), problems=Ref("gold.problems"), learning_rate=1e-3, batch_size=32)
    [said] = config.placement_problems(3, None)
    assert "4 groups a step (batch_size / n) cannot be dealt to 3 processes. Make batch_size a multiple of 24" in said
