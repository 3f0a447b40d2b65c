"""Bars of gates are no part of keys: they decide whether an artifact is published, and nothing in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reasoning_train.api.stage import STAGES, Gate
from tests.reasoning_train.recipe.kitchen import keys, load

BARS = {"min_rows", "min_share", "min_shared", "min_solved", "max_dropped", "max_unverifiable"}

RECIPE = """
    name: gates
    include: [configs/models/tiny.yaml, configs/tasks/chain.yaml]
    stages:
      base: {uses: sft, policy: "${model}", data: "${task.train.gold}", learning_rate: 1e-3, max_steps: 1}
      sample: {uses: sample, policy: "${stages.base}", problems: "${task.dev}", n: 2}
      kept: {uses: select, solutions: "${stages.sample}"}
      tree: {uses: search, policy: "${stages.base}", problems: "${task.explore}", gold: true,
        search: {uses: mcts, simulations: 4}, scorer: {uses: rollouts}}
      values: {uses: value_targets, trees: "${stages.tree}", policy: "${stages.base}", targets: {uses: q}}
      tuned: {uses: sft, policy: "${stages.base}", data: "${stages.kept}", learning_rate: 1e-3, max_steps: 1}
      eval: {uses: evaluate, policies: {base: "${stages.base}", tuned: "${stages.tuned}"}, problems: "${task.test}"}
      claim: {uses: claim, table: "${stages.eval}", form: {uses: difference, better: tuned, than: base}}
"""


@pytest.mark.parametrize(
    "override",
    [
        "stages.sample.min_solved=0.2",
        "stages.sample.max_unverifiable=0.5",
        "stages.kept.min_rows=9",
        "stages.tree.min_solved=0.1",
        "stages.values.min_share=0.1",
        "stages.values.min_rows=3",
        "stages.tuned.max_dropped=0.5",
        "stages.tuned.min_rows=3",
        "stages.eval.max_unverifiable=0",
        "stages.claim.min_shared=0.5",
    ],
)
def test_a_bar_changes_no_key(tmp_path: Path, override: str) -> None:
    assert keys(load(tmp_path, RECIPE, override)) == keys(load(tmp_path, RECIPE))


def test_the_bars_of_all_stages_are_marked() -> None:
    found = {
        (stage, name, any(isinstance(mark, Gate) for mark in field.metadata))
        for stage in STAGES.names()
        for name, field in STAGES.get(stage).config.model_fields.items()
        if name in BARS
    }
    assert {name for _, name, _ in found} == BARS
    assert [(stage, name) for stage, name, marked in found if not marked] == []
