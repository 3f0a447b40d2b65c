"""Stages on the device: QLoRA, vLLM beside a trainer, and a recipe that samples, searches, trains and evaluates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from launch import cli
from reasoning_train.models.policy import load_policy
from tests.reasoning_train.bench import MODEL, Bench, points
from tests.reasoning_train.stages import test_grpo
from tests.reasoning_train.stages.test_sft import kitchen, train, weights  # noqa: F401

RECIPE = """
name: gpu
include: [configs/tasks/chain.yaml]
model:
  init: {hidden_size: 128, layers: 2, heads: 2, intermediate_size: 256, max_length: 256, init_std: 0.06,
    rope_theta: 100}
  tokenizer: task
task: {train: 4000, explore: 64, dev: 32, test: 128, steps: [1, 2]}
stages:
  base: {uses: sft, policy: "${model}", data: "${task.train.gold}", learning_rate: 0.004, batch_size: 32,
    max_steps: 250,
         schedule: constant, adam_beta2: 0.95, warmup_steps: 20}
  sample: {uses: sample, policy: "${stages.base}", problems: "${task.explore}", n: 8, max_tokens: 48}
  kept: {uses: select, solutions: "${stages.sample}", keep: correct}
  tuned: {uses: sft, policy: "${stages.base}", data: "${stages.kept}", learning_rate: 0.001, batch_size: 16, epochs: 1}
  rewarded: {uses: grpo, policy: "${stages.base}", problems: "${task.explore}", n: 4, batch_size: 16, max_steps: 3,
    max_tokens: 48,
             learning_rate: 0.00001}
  trees:
    uses: search
    policy: ${stages.base}
    problems: ${task.explore}
    gold: true
    search: {uses: mcts, simulations: 8, wave: 2, expand: {n: 3, max_tokens: 24}, max_depth: 6, max_length: 64}
    scorer: {uses: rollouts, m: 2, max_length: 64}
  pairs: {uses: step_pairs, trees: "${stages.trees}", policy: "${stages.base}", pairs: {uses: margin}}
  known: {uses: reference, pairs: "${stages.pairs}", policy: "${stages.base}"}
  preferred: {uses: dpo, policy: "${stages.base}", pairs: "${stages.known}", beta: 0.4, learning_rate: 0.0001,
    batch_size: 16, epochs: 1}
  labels: {uses: value_targets, trees: "${stages.trees}", policy: "${stages.base}", targets: {uses: mc}}
  prm: {uses: train_verifier, policy: "${stages.base}", targets: "${stages.labels}", learning_rate: 0.0005,
    batch_size: 16, epochs: 1}
  pool: {uses: sample, policy: "${stages.base}", problems: "${task.test}", n: 4, max_tokens: 48}
  measured: {uses: evaluate_verifier, verifiers: {prm: "${stages.prm}"}, problems: "${task.test}",
    solutions: "${stages.pool}",
             policy: "${stages.base}", aggregate: min}
  eval:
    uses: evaluate
    policies: {base: "${stages.base}", tuned: "${stages.tuned}", preferred: "${stages.preferred}",
      rewarded: "${stages.rewarded}"}
    problems: ${task.test}
    samples: 2
    max_tokens: 48
"""


def test_qlora_trains_and_is_merged_into_what_it_came_from(kitchen: Bench) -> None:  # noqa: F811
    pytest.importorskip("bitsandbytes")
    before = weights(kitchen.store.open(kitchen.nodes["model"]))
    made = train(kitchen, lora={"r": 4, "bits": 4}, max_steps=60, learning_rate=0.005, schedule="constant")
    losses = [json.loads(line)["loss"] for line in (made.path / "history.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.95 * losses[0]
    after = weights(made)
    assert {value.dtype for value in after.values()} == {torch.bfloat16} and after.keys() == before.keys()
    moved = {name for name, value in before.items() if not torch.equal(value.to(torch.bfloat16), after[name])}
    assert moved == {name for name in before if "_proj" in name}, "the rest is as it came, not rounded to 4 bits"
    assert load_policy(made.path / "model").model.dtype == torch.bfloat16
    kept = train(kitchen, "kept", lora={"r": 4, "bits": 4}, adapter="keep").path / "model"
    assert (kept / "adapter_model.safetensors").exists() and load_policy(kept).model.dtype == torch.bfloat16


def test_a_recipe(tmp_path: Path) -> None:
    """Every stage runs, the model learns its task, and the verifier's figures are there."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)
    assert cli.main(["run", str(recipe), "--store", str(tmp_path / "store")]) == 0
    found = {
        json.loads(path.read_text())["node"]: path.parent for path in tmp_path.glob("store/artifacts/*/manifest.json")
    }
    curve = [json.loads(line) for line in (found["base"] / "history.jsonl").read_text().splitlines()]
    assert curve[-1]["loss"] < 0.5 * curve[0]["loss"]
    assert {"tuned", "preferred", "rewarded", "prm", "eval"} <= found.keys()
    measured = json.loads((found["measured"] / "manifest.json").read_text())["metrics"]
    assert "AUC within" in json.dumps(measured) and "prm" in json.dumps(measured)


@pytest.mark.parametrize("more", [{}, {"lora": {"r": 4}}], ids=str)
def test_vllm_draws_from_the_policy_that_is_trained(kitchen: Bench, more: dict[str, Any]) -> None:  # noqa: F811
    """Beside the trainer: it says of its tokens what the trainer says, up to bfloat16, at every step."""
    pytest.importorskip("vllm")
    kitchen.model(init={**MODEL["init"], "hidden_size": 128})
    test_grpo.half_taught(kitchen, steps=12)
    made = test_grpo.train(kitchen, max_steps=8, learning_rate=0.005, vllm={"memory": 0.2}, **more)
    assert max(point["logprob_gap"] for point in points(made)) < 0.02
    assert made.manifest["counts"]["tokens.generated"] > 8 * 32
