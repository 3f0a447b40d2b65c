"""Stages with `engine: {uses: vllm}`: rows as with the transformers engine, kept adapters, trees, tensor parallelism.
Needs vLLM."""

from __future__ import annotations

from typing import Any

import pytest

from data_gen.records.trees import read_trees
from reasoning_train.api.refs import Ref
from tests.reasoning_train.bench import MODEL, Bench, rows_of
from tests.reasoning_train.stages.test_sft import FEW, start_worker, train

pytestmark = pytest.mark.vllm
VLLM = {"uses": "vllm", "kv_cache_gib": 0.1}


@pytest.fixture
def kitchen(bench: Bench, one_thread: None) -> Bench:
    """A policy that has just begun to learn 4 problems, whose heads vLLM's CPU kernels take; an adapter and its merged
    twin on top."""
    bench.model(init={**MODEL["init"], "hidden_size": 64})
    bench.gold(task=FEW)
    train(bench, "base", learning_rate=0.01, max_steps=4)
    for adapter in ("keep", "merge"):
        train(bench, adapter, policy="base", learning_rate=0.01, lora={"r": 4}, adapter=adapter, max_steps=20)
    return bench


def test_evaluating_a_base_a_kept_adapter_and_its_merged_twin_gives_the_transformers_engines_rows(
    kitchen: Bench,
) -> None:
    policies = {name: Ref(name) for name in ("base", "keep", "merge")}
    config: dict[str, Any] = {"policies": policies, "problems": Ref("gold.problems"), "samples": 0, "max_tokens": 40}
    ours, theirs = (
        kitchen.make("vllm", "evaluate", **config, engine=VLLM),
        kitchen.make("transformers", "evaluate", **config),
    )
    assert rows_of(ours) == rows_of(theirs)
    texts = {name: [row["solution"] for row in rows_of(ours) if row["policy"] == name] for name in policies}
    assert texts["keep"] == texts["merge"] != texts["base"]
    counts = ours.manifest["counts"]
    assert counts["tokens.generated"] == theirs.manifest["counts"]["tokens.generated"]
    assert "reproducible" not in ours.manifest["metrics"]


def test_samples_follow_from_the_seed(kitchen: Bench) -> None:
    train(kitchen, "better", policy="base", learning_rate=0.01, max_steps=15)
    config: dict[str, Any] = {
        "policy": Ref("better"),
        "problems": Ref("gold.problems"),
        "n": 6,
        "temperature": 1.0,
        "max_tokens": 40,
    }
    one, two, other = (
        kitchen.make(f"s{i}", "sample", seed=seed, engine=VLLM, **config) for i, seed in enumerate((1, 1, 2))
    )
    assert [row["completion"] for row in rows_of(one)] == [row["completion"] for row in rows_of(two)]
    assert [row["completion"] for row in rows_of(one)] != [row["completion"] for row in rows_of(other)]
    assert all(len(row["logprobs"]) == sum(len(s["token_ids"]) for s in row["segments"]) for row in rows_of(one))


def test_trees_grow_in_vllm_over_an_adapter_too_and_follow_from_the_seed(kitchen: Bench) -> None:
    """What nodes share is found in the prefix cache; every token is charged; a kept adapter grows the trees of its own
    policy."""
    how = {"uses": "mcts", "simulations": 8, "wave": 2, "expand": {"n": 3, "max_tokens": 24}, "max_length": 64}
    config: dict[str, Any] = {
        "problems": Ref("gold.problems"),
        "search": how,
        "scorer": {"uses": "constant"},
        "gold": True,
        "engine": VLLM,
    }
    one, two, base = (
        kitchen.make(name, "search", policy=Ref(name[:4]), **config) for name in ("keep1", "keep2", "base1")
    )
    trees = list(read_trees(rows_of(one)))
    assert [tree.problem_id for tree in trees] == [
        row["id"] for row in rows_of(kitchen.store.open(kitchen.nodes["gold.problems"]))
    ]
    for tree in trees:
        assert tree.generated_tokens == sum(node.draws * len(node.token_ids) for node in tree.nodes[1:])
    assert rows_of(one) == rows_of(two) != rows_of(base)
    assert one.manifest["counts"]["tokens.generated"] == sum(tree.generated_tokens for tree in trees)
    assert one.manifest["counts"]["tokens.cached"] > 0 and "reproducible" not in one.manifest["metrics"]


def test_a_recipe_spreads_the_model_over_processes(kitchen: Bench) -> None:
    """`tensor_parallel: 2` in a stage of its own process; greedy solutions are those of one process."""
    config: dict[str, Any] = {
        "policy": Ref("merge"),
        "problems": Ref("gold.problems"),
        "n": 1,
        "temperature": 0.0,
        "max_tokens": 40,
    }
    alone = kitchen.make("alone", "sample", **config, engine=VLLM)
    kitchen.add("spread", "sample", **config, engine={**VLLM, "tensor_parallel": 2})
    assert start_worker(kitchen, "spread").wait(500) == 0
    spread = kitchen.store.open(kitchen.nodes["spread"])
    assert spread.manifest["config"]["engine"]["tensor_parallel"] == 2
    assert [row["completion"] for row in rows_of(spread)] == [row["completion"] for row in rows_of(alone)]
