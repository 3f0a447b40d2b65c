"""Pools that are chosen by what their setting does on dev: recipes that say so, and what they may not do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reasoning_train.api.refs import Ref
from reasoning_train.recipe.errors import RecipeError
from tests.reasoning_train.recipe.kitchen import load

RECIPE = """
    name: pools
    include: [configs/models/tiny.yaml, configs/tasks/chain.yaml]
    grids:
      hot:
        over: {temperature: [0.5, 1.0], top_p: [1.0, 0.9]}
        stages:
          dev_pool: {uses: sample, policy: "${model}", problems: "${task.dev}", n: 2,
                     temperature: "${grid.temperature}", top_p: "${grid.top_p}"}
          dev: {like: best, problems: "${task.dev}", solutions: "${stages.dev_pool}"}
          pool: {like: dev_pool, problems: "${task.test}"}
        choose: {policy: pool, table: "${stages.dev}", row: self}
    stages:
      best: {uses: evaluate_verifier, problems: "${task.test}", solutions: "${grids.hot.best}", policy: "${model}",
             likelihoods: {self: "${model}"}}
      to_vote: {uses: choose, policies: "${grids.hot.pool}", table: "${grids.hot.dev}", row: majority}
      voted: {like: best, solutions: "${stages.to_vote}"}
      cold: {like: best, solutions: "${grids.hot.pool[temperature=0.5,top_p=1.0]}"}
      claim: {uses: claim, tables: {best: "${stages.best}", voted: "${stages.voted}", cold: "${stages.cold}"},
              form: {uses: difference, better: best/self, than: voted/majority, control: cold/self}}
      MORE
"""
SETTINGS = [f"temperature={t},top_p={p}" for t in ("0.5", "1.0") for p in ("1.0", "0.9")]


def test_candidates_are_paired_with_the_tables_of_their_settings(tmp_path: Path) -> None:
    plan = load(tmp_path, RECIPE.replace("MORE", ""))
    for name, row in (("grids.hot.best", "self"), ("to_vote", "majority")):
        config = plan.nodes[name].config
        assert config["policies"] == {one: Ref(f"grids.hot.{one}.pool") for one in SETTINGS}
        assert config["table"] == {one: Ref(f"grids.hot.{one}.dev") for one in SETTINGS}
        assert config["row"] == row


def test_every_row_of_a_chosen_pool_says_out_of_how_many(tmp_path: Path) -> None:
    nodes = load(tmp_path, RECIPE.replace("MORE", "")).nodes
    assert nodes["best"].config["tried"] == {row: {"grids.hot.best": 4} for row in ("majority", *BESIDE, "self")}
    assert nodes["voted"].config["tried"]["majority"] == {"to_vote": 4}
    assert nodes["cold"].config.get("tried", {}) == {}


BESIDE = ("random distinct trace", "first sample")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            'few: {uses: choose, policies: {a: "${grids.hot.pool[temperature=0.5,top_p=1.0]}"}, table: {a: '
            '"${grids.hot.dev[temperature=0.5,top_p=1.0]}"}, row: self}\n'
            '      less: {like: best, solutions: "${stages.few}"}\n'
            '      unfair: {uses: claim, tables: {best: "${stages.best}", less: "${stages.less}"}, form: '
            "{uses: difference, better: best/self, than: less/self}}",
            "'best/self' out of 4, 'less/self' out of 1. Try equally many for every arm",
        ),
        (
            'cheat: {uses: choose, policies: "${grids.hot.pool}", table: {TABLES}, row: self}',
            "'cheat' chooses by problems of the split 'test': task.test -> cold -> cheat",
        ),
        (
            'taught: {uses: sft, policy: "${model}", data: "${grids.hot.best}", learning_rate: 1e-3, max_steps: 1}',
            "'taught' trains on problems of the split 'test'",
        ),
    ],
    ids=["unequal effort", "chosen on test", "trained on test"],
)
def test_what_a_chosen_pool_may_not_do(tmp_path: Path, more: str, message: str) -> None:
    tables = ", ".join(f'"{one}": "${{stages.cold}}"' for one in SETTINGS)
    more = more.replace('"${grids.hot.pool}", table: {TABLES}', f"{{{_pools()}}}, table: {{{tables}}}")
    with pytest.raises(RecipeError, match=re.escape(message)):
        load(tmp_path, RECIPE.replace("MORE", more))


def _pools() -> str:
    return ", ".join(f'"{one}": "${{grids.hot.pool[{one}]}}"' for one in SETTINGS)
