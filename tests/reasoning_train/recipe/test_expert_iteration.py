"""The recipe with rounds, in small and end to end: fresh problems, rows that add up, a choice on dev, a claim."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reasoning_train.api.checkout import CHECKOUT
from reasoning_train.api.plan import Plan
from reasoning_train.recipe.load import load_plan
from reasoning_train.store.rows import Rows
from reasoning_train.store.store import Store
from reasoning_train.worker.run_node import run_node

RECIPE = CHECKOUT / "recipes" / "expert_iteration" / "tiny.yaml"
SMALL = [
    "task={uses: chain, steps: [1, 1], operand: [1, 3], train: 600, explore: 90, dev: 20, test: 20}",
    "model.init={hidden_size: 64, layers: 1, heads: 2, intermediate_size: 128, max_length: 128, init_std: 0.09}",
    "stages.base.max_steps=400",
    "stages.base.until={problems: '${task.dev}', accuracy: 0.3, every: 10, start: 20, limit: 20, max_tokens: 40}",
    "rounds.grow.stages.tuned.max_steps=5",
    "rounds.grow.stages.sample.n=4",
]


def rows(plan: Plan, store: Store, name: str) -> list[dict[str, Any]]:
    artifact = store.open(plan.nodes[name])
    return list(Rows(artifact.path / next(iter(artifact.manifest["outputs"]))))


@pytest.mark.slow
def test_three_rounds_and_the_best_of_them(tmp_path: Path) -> None:
    plan, store = load_plan(RECIPE, SMALL), Store(tmp_path / "store")
    for name in plan.nodes:
        run_node(plan, name, store, report=lambda event: None)
    parts = [{row["id"] for row in rows(plan, store, f"rounds.grow.{k}.fresh")} for k in (1, 2, 3)]
    assert len(set.union(*parts)) == sum(map(len, parts)) == 90
    kept = [len(rows(plan, store, f"rounds.grow.{k}.kept")) for k in (1, 2, 3)]
    assert [len(rows(plan, store, f"rounds.grow.{k}.so_far")) for k in (1, 2, 3)] == [sum(kept[:k]) for k in (1, 2, 3)]
    blind = [len(rows(plan, store, f"rounds.grow.{k}.blind_kept")) for k in (1, 2, 3)]
    assert blind == kept, "the control trains on as many rows"
    chosen = store.open(plan.nodes["rounds.grow.best"]).manifest["metrics"]
    values = chosen["values"]
    assert chosen["chosen"] == max(values, key=lambda name: values[name])
    verdict = store.open(plan.nodes["claim"]).manifest["metrics"]["verdict"]
    assert "verdict" in verdict, "one seed gives none"
