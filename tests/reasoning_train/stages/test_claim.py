"""Verdicts of a claim, each brought about by construction, and its messages."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from data_gen.errors import UserError
from reasoning_train.recipe.errors import RecipeError
from tests.reasoning_train.bench import Bench
from tests.reasoning_train.evaluation.rows import rows
from tests.reasoning_train.recipe.kitchen import load

P = 80
HALF = [i % 2 == 0 for i in range(P)]
NONE, ALL = [False] * P, [True] * P


def nearly(base: list[bool], changed: int) -> list[bool]:
    """`changed` more right answers (fewer, where negative)."""
    flips = [i for i, right in enumerate(base) if right == (changed < 0)][: abs(changed)]
    return [not right if i in flips else right for i, right in enumerate(base)]


def verdict(bench: Bench, seeds: list[dict[str, list[bool]]], **config: Any) -> dict[str, Any]:
    tables = []
    for number, policies in enumerate(seeds):
        made = [one for name, outcomes in policies.items() for one in rows(name, outcomes)]
        tables.append(bench.given(f"table{number}", "t_evaluation", made))
    artifact = bench.make("claim", "claim", **{"table": tables, "better": "tuned", "than": "base", **config})
    found = json.loads((artifact.path / "verdict" / "verdict.json").read_text())
    assert artifact.manifest["metrics"]["verdict"] == found["verdict"]
    assert artifact.manifest["metrics"]["table"]["title"].endswith(found["verdict"])
    return found


def test_supported(bench: Bench) -> None:
    found = verdict(bench, [{"base": HALF, "tuned": nearly(HALF, 16 + seed)} for seed in range(5)])
    assert found["verdict"] == "supported"
    value, low, high = found["comparisons"]["tuned - base"]["estimate"]
    assert value == pytest.approx(0.225)
    assert 0 < low < value < high
    assert len(found["comparisons"]["tuned - base"]["per_seed"]) == 5


def test_contradicted(bench: Bench) -> None:
    found = verdict(bench, [{"base": HALF, "tuned": nearly(HALF, -16)} for _ in range(5)])
    assert found["verdict"] == "contradicted"


def test_not_resolved_where_the_interval_holds_zero(bench: Bench) -> None:
    assert verdict(bench, [{"base": HALF, "tuned": nearly(HALF, 1)} for _ in range(5)])["verdict"] == "not resolved"


def test_not_resolved_where_two_of_five_seeds_have_the_other_sign(bench: Bench) -> None:
    gains = [40, 40, 40, -1, -1]
    assert verdict(bench, [{"base": HALF, "tuned": nearly(HALF, gain)} for gain in gains])["verdict"] == "not resolved"


def test_one_seed_gives_numbers_and_no_verdict(bench: Bench) -> None:
    found = verdict(bench, [{"base": HALF, "tuned": ALL}])
    assert found["verdict"] == "one seed, no verdict"
    assert found["comparisons"]["tuned - base"]["estimate"][0] == pytest.approx(0.5)


def test_the_margin_must_be_exceeded(bench: Bench) -> None:
    seeds = [{"base": HALF, "tuned": nearly(HALF, 16)} for _ in range(5)]
    assert verdict(bench, seeds, margin=0.4)["verdict"] == "contradicted"


def test_a_control_that_gains_as_much_is_no_support(bench: Bench) -> None:
    alike = [{"base": HALF, "tuned": nearly(HALF, 16), "control": nearly(HALF, 16)} for _ in range(5)]
    found = verdict(bench, alike, control="control")
    assert found["comparisons"]["tuned - base"]["verdict"] == "supported"
    assert found["verdict"] == "not resolved"


def test_a_control_that_gains_nothing(bench: Bench) -> None:
    seeds = [{"base": HALF, "tuned": nearly(HALF, 16), "control": HALF} for _ in range(5)]
    found = verdict(bench, seeds, control="control")
    assert found["verdict"] == "supported"
    assert set(found["comparisons"]) == {"tuned - base", "control - base", "tuned - control"}


def test_a_control_that_gains_more_contradicts(bench: Bench) -> None:
    seeds = [{"base": HALF, "tuned": nearly(HALF, 16), "control": ALL} for _ in range(5)]
    assert verdict(bench, seeds, control="control")["verdict"] == "contradicted"


CHECKED = """
    name: checked
    include: [configs/models/tiny.yaml, configs/tasks/chain.yaml]
    stages:
      eval: {uses: evaluate, policies: {base: "${model}", tuned: "${model}"}, problems: "${task.test}", samples: 4}
      claim: {uses: claim, table: ["${stages.eval}"], better: tuned, than: base}
"""


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("better=tuend", "stages.claim.better: the table 'eval' has no row 'tuend'. Did you mean 'tuned'?"),
        ("control=other", "stages.claim.control: the table 'eval' has no row 'other'. Known: base, tuned."),
        ("metric=pass@4", "stages.claim.metric: pass@4 needs `ks: [4]` in the claim."),
    ],
)
def test_names_are_checked_before_anything_runs(tmp_path: Path, override: str, message: str) -> None:
    assert {"eval", "claim"} <= load(
        tmp_path, CHECKED, "stages.claim.metric=pass@4", "stages.claim.ks=[4]"
    ).nodes.keys()
    assert len(load(tmp_path, CHECKED, "seeds=[0, 1]").nodes["claim"].config["table"]) == 2
    with pytest.raises(RecipeError, match=re.escape(message)):
        load(tmp_path, CHECKED, f"stages.claim.{override}")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"better": "tunde"}, "the table has no policy 'tunde'; it has base, tuned"),
        (
            {"metric": "pass@8"},
            "the table has no metric 'pass@8'; it has accuracy, cut, tokens, trace. pass@k and maj@k need `ks`",
        ),
    ],
)
def test_unknown_names_are_listed(bench: Bench, config: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        verdict(bench, [{"base": HALF, "tuned": ALL}], **config)
