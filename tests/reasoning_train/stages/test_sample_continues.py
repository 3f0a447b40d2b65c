"""`sample` with a larger n continues the artifact with a smaller one: the same rows bit by bit, and fewer draws."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from data_gen.graders.base import decided
from data_gen.records.problem import Problem
from data_gen.records.segment import Segment
from data_gen.records.verdict import Grade
from data_gen.tasks import TASKS
from data_gen.tasks.chain import Chain
from reasoning_train.api.checkout import CHECKOUT
from reasoning_train.api.plan import Plan
from reasoning_train.api.stage import STAGES
from reasoning_train.recipe.load import load_plan
from reasoning_train.store.store import Artifact, Store
from reasoning_train.worker.earlier import key_of
from reasoning_train.worker.run_node import run_node
from tests.reasoning_train.bench import rows_of
from tests.reasoning_train.recipe.kitchen import load


@TASKS.register("t_easy")
class Easy(Chain):
    """Everything is right, so that a policy that has learned nothing solves something."""

    def grade_solution(self, problem: Problem, segments: Sequence[Segment]) -> Grade:
        return decided(True, "anything")


RECIPE = """
    name: continues
    model: {init: {hidden_size: 32, layers: 1, heads: 2, intermediate_size: 64, max_length: 128}, tokenizer: task}
    task: {uses: t_easy, train: 1, explore: 6, dev: 1, test: 1, steps: [1, 1]}
    stages:
      sample: {uses: sample, policy: "${model}", problems: "${task.explore}", n: 3, max_tokens: 40, WITH}
"""


def plan_of(folder: Path, n: int, more: str = "temperature: 1.0") -> Plan:
    return load(folder, RECIPE.replace("WITH", more), f"stages.sample.n={n}")


def made(plan: Plan, store: Store, *, shards: int = 1) -> Artifact:
    for name in ("model", "task.explore"):
        run_node(plan, name, store, report=lambda event: None)
    for k in range(shards) if shards > 1 else ():
        run_node(plan, "sample", store, report=lambda event: None, shard=(k, shards))
    run_node(plan, "sample", store, report=lambda event: None)
    return store.open(plan.nodes["sample"])


def counts(artifact: Artifact) -> dict[str, int]:
    found: dict[str, int] = artifact.manifest["counts"]
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("continues")


@pytest.fixture(scope="module")
def fresh(folder: Path) -> Artifact:
    """Five samples of every problem, drawn at once."""
    return made(plan_of(folder, 5), Store(folder / "fresh"))


@pytest.fixture(scope="module")
def three(folder: Path) -> Store:
    """A store with three samples of every problem."""
    made(plan_of(folder, 3), Store(folder / "three"))
    return Store(folder / "three")


@pytest.fixture
def store(three: Store, tmp_path: Path) -> Store:
    """A copy of it."""
    shutil.copytree(three.root, tmp_path / "store")
    return Store(tmp_path / "store")


@pytest.mark.parametrize("shards", [1, 2])
def test_more_samples_continue_the_first(folder: Path, fresh: Artifact, store: Store, shards: int) -> None:
    three = store.open(plan_of(folder, 3).nodes["sample"])
    assert rows_of(three) == [row for row in rows_of(fresh) if row["sample"] < 3]
    continued = made(plan_of(folder, 5), store, shards=shards)
    assert rows_of(continued) == rows_of(fresh)
    assert continued.manifest["key"] == fresh.manifest["key"]
    assert continued.manifest["outputs"]["data"]["digest"] == fresh.manifest["outputs"]["data"]["digest"]
    assert continued.manifest["metrics"]["continues"] == {"key": three.manifest["key"], "n": 3}
    assert "continues" not in fresh.manifest["metrics"]
    generated = [counts(one)["tokens.generated"] for one in (three, continued, fresh)]
    assert generated[0] + generated[1] == generated[2]
    assert made(plan_of(folder, 7), store).manifest["metrics"]["continues"]["n"] == 5


@pytest.mark.parametrize("more", ["temperature: 0.9", "temperature: 1.0, limit: 5", "temperature: 1.0, seed: 1"])
def test_anything_else_that_differs_is_drawn_anew(folder: Path, store: Store, more: str) -> None:
    assert "continues" not in made(plan_of(folder, 4, more), store).manifest["metrics"]


def test_fewer_samples_are_drawn_anew(folder: Path, store: Store) -> None:
    assert "continues" not in made(plan_of(folder, 2), store).manifest["metrics"]


def test_a_damaged_artifact_is_not_continued(folder: Path, fresh: Artifact, store: Store) -> None:
    [part] = (store.open(plan_of(folder, 3).nodes["sample"]).path / "data").glob("*.parquet")
    part.write_bytes(part.read_bytes()[:-100])
    continued = made(plan_of(folder, 5), store)
    assert "continues" not in continued.manifest["metrics"] and rows_of(continued) == rows_of(fresh)


@pytest.mark.parametrize(
    "recipe", sorted((CHECKOUT / "recipes").glob("*/tiny.yaml")), ids=lambda path: path.parent.name
)
def test_the_key_of_an_unchanged_node_is_its_own(recipe: Path) -> None:
    plan = load_plan(recipe)
    checked: list[Any] = []
    for node in plan.nodes.values():
        if node.uses not in ("problems", "model"):  # their configs hold what the recipe filled in
            config = STAGES.get(node.uses).config.model_validate(node.config)
            assert key_of(plan, node, config) == node.key, node.name
            checked.append(node.uses)
    assert "sample" in checked or "search" in checked or "grpo" in checked
