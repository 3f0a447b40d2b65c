"""Adapters on weights of 4 bits, with bitsandbytes' kernels for CPUs: what the gate asks a GPU for is not asked
here."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from reasoning_train.api.refs import Ref
from reasoning_train.store.store import Artifact
from reasoning_train.trainers import setup
from tests.reasoning_train.bench import MODEL, Bench, points
from tests.reasoning_train.stages import test_dpo, test_grpo, test_joint, test_sft, test_train_verifier

pytestmark = pytest.mark.qlora
QLORA: dict[str, Any] = {
    "lora": {"r": 4, "bits": 4},
    "learning_rate": 0.005,
    "schedule": "constant",
    "precision": "float32",
}
INIT = {**MODEL["init"], "hidden_size": 64, "intermediate_size": 128}
"""Rows of at least the 64 weights that share a scale."""


@pytest.fixture
def kitchen(bench: Bench, one_thread: None, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A fresh policy. Kernels that bitsandbytes has for samples on some CPUs are not used: weights that they have
    packed are misread by the training steps that follow."""
    from bitsandbytes.nn import modules

    monkeypatch.setattr(setup, "has_gpu", lambda: True)
    monkeypatch.setattr(modules, "has_avx512bf16", lambda: False)
    bench.model(init=INIT)
    return bench


def weights(bench: Bench, name: str) -> dict[str, torch.Tensor]:
    """Of what a stage published, adapters merged."""
    return dict(bench.policy(name).model.state_dict())


def losses(artifact: Artifact) -> list[float]:
    return [point["loss"] for point in points(artifact)]


def test_adapters_are_merged_into_the_weights_as_they_came(kitchen: Bench) -> None:
    """Whether the trainer merges them or they are kept and whoever loads them does: only what they sit on has moved."""
    kitchen.gold()
    made = test_sft.train(kitchen, "merged", max_steps=60, **QLORA)
    test_sft.train(kitchen, "kept", max_steps=60, adapter="keep", **QLORA)
    assert losses(made)[-1] < 0.6 * losses(made)[0]
    before, after, later = (weights(kitchen, name) for name in ("model", "merged", "kept"))
    assert {name for name, value in before.items() if not torch.equal(value, after[name])} == {
        name for name in before if "_proj" in name
    }
    for name, value in after.items():
        assert torch.allclose(value, later[name], atol=1e-6), name


def test_preferences(kitchen: Bench) -> None:
    """The reference is the stage's, of the weights before they were rounded."""
    made = test_dpo.train(kitchen, max_steps=60, **QLORA)
    assert losses(made)[-1] < 0.5 * losses(made)[0]


def test_a_verifier_and_one_that_goes_on_with_it(kitchen: Bench) -> None:
    rows = test_train_verifier.targets(kitchen)
    once = test_train_verifier.train(kitchen, name="once", max_steps=10, **QLORA)
    twice = test_train_verifier.train(kitchen, name="twice", policy=Ref("once"), max_steps=10, **QLORA)
    first, second = ([test_train_verifier.read(made, row) for row in rows[:2]] for made in (once, twice))
    assert first[0] > 0.5 > first[1]
    assert second[0] > first[0] and second[1] < first[1]


def test_a_joint_model(kitchen: Bench) -> None:
    kitchen.make(
        "values", "t_targets", rows=[row.to_row() for row in test_train_verifier.targets(kitchen, 8, scale="signed")]
    )
    kitchen.solutions("kept", test_joint.right_ones(kitchen))
    made = test_joint.train(kitchen, max_steps=30, **QLORA)
    assert losses(made)[-1] < 0.8 * losses(made)[0]


@pytest.mark.parametrize("loss", ["grpo", "rloo"])
def test_rewards(kitchen: Bench, loss: str) -> None:
    """The reference is the policy without adapters, so there is no divergence before the first step."""
    test_grpo.half_taught(kitchen, steps=7)
    made = test_grpo.train(kitchen, loss=loss, beta=0.05, max_steps=30, **{**QLORA, "learning_rate": 0.003})
    rewards = [point["reward"] for point in points(made)]
    assert points(made)[0]["kl"] == pytest.approx(0, abs=1e-5)
    assert sum(rewards[-5:]) / 5 > sum(rewards[:5]) / 5 + 0.2
