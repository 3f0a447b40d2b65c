"""Figures of whole rows: F1 by hand, over a table and in its groups; ratios, their powers, risk and areas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.errors import UserError
from data_gen.tasks.chain import Chain
from reasoning_train.evaluation.row_figures import (
    AreaUnderCurve,
    HarmonicMean,
    MeanPower,
    RatioOfSums,
    Risk,
    declared,
    figures_among,
)
from reasoning_train.evaluation.summary import summarise_rows
from reasoning_train.evaluation.tables import group_tables, summary_table
from tests.reasoning_train.evaluation.rows import row

SAID = {"base": "TTFFF", "tuned": "TFTFT"}
"""Policy -> what it says of five problems: T or F."""
GOLD, STORIES = "TTTFF", "aaabb"


def columns(said: str, gold: str) -> dict[str, float]:
    one, other = float(said == "T"), float(gold == "T")
    return {"label_hits": one * other, "label_said": one, "label_gold": other, "label_either": (one + other) / 2}


ROWS = [
    row(name, f"p{i}", one == gold, measures=columns(one, gold), tags={"story": story})
    for name, said in SAID.items()
    for i, (one, gold, story) in enumerate(zip(said, GOLD, STORIES, strict=True))
]
CHAIN = Chain.model_validate({"uses": "chain", "measures": [{"uses": "label_f1", "label": "T"}]})
RATIOS = CHAIN.ratios()


def test_f1_of_a_table_and_of_its_groups_by_hand() -> None:
    summary = summarise_rows(ROWS, ["base", "tuned"], [], by=["story"], ratios=RATIOS)
    base, tuned = summary["policies"]["base"], summary["policies"]["tuned"]
    assert [base[name][0] for name in RATIOS] == pytest.approx([1, 2 / 3, 0.8])
    assert [tuned[name][0] for name in RATIOS] == pytest.approx([2 / 3, 2 / 3, 2 / 3])
    assert summary["differences"]["tuned"]["f1"][0] == pytest.approx(2 / 3 - 0.8)
    low, high = tuned["f1"][1:]
    assert low < 2 / 3 < high
    one, other = (summary["groups"]["story"][story]["policies"] for story in "ab")
    assert one["tuned"]["f1"][0] == pytest.approx(0.8)
    assert "f1" not in other["base"] and other["tuned"]["f1"][0] == 0 and "recall" not in other["tuned"]
    assert "f1" in summary_table(summary)["columns"] and "f1" in group_tables(summary)[0]["columns"]


def test_tables_show_ratios_in_per_cent_within_their_bounds() -> None:
    """Both interval ends of an F1 of 1 over three problems: what unseen problems could change, and 1."""
    made = [row("base", f"p{i}", True, measures=columns("T", "T")) for i in range(3)]
    shares = CHAIN.shares()
    summary = summarise_rows(made, ["base"], [], shares=shares, ratios=RATIOS)
    value, low, high = summary["policies"]["base"]["f1"]
    assert (value, high) == (1.0, 1.0) and low == pytest.approx(1 - 3.8415 / 6.8415, abs=1e-3)
    assert f"100.0 [{100 * low:.1f}, 100.0]" in summary_table(summary)["rows"][0]


def test_a_ratio_of_columns_of_other_problems_is_left_out() -> None:
    """Of p0 it is not known what is said."""
    made = [row("base", f"p{i}", True, measures=columns("T", "T")) for i in range(3)]
    made[0] = row("base", "p0", True, measures={name: 1.0 for name in columns("T", "T") if name != "label_said"})
    found = summarise_rows(made, ["base"], [], ratios=RATIOS)["policies"]["base"]
    assert found["recall"][0] == 1.0 and "precision" not in found


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30), st.data())
def test_a_ratio_of_a_resample_is_that_of_the_drawn_problems(pairs: list[tuple[int, int]], data: st.DataObject) -> None:
    """Against writing every drawn problem out as often as it was drawn."""
    values = np.array(pairs, dtype=float).T
    drawn = data.draw(st.lists(st.integers(0, len(pairs) - 1), min_size=1, max_size=40))
    counts = np.bincount(drawn, minlength=len(pairs)).astype(float)[None]
    [found] = RatioOfSums(("a", "b")).of(values, counts)
    top, bottom = values[:, drawn].sum(axis=1)
    assert (np.isnan(found) and not bottom) or found == pytest.approx(top / bottom)
    positive = np.stack([values[0], values[1] + 1, values[1] + 1])
    [power] = MeanPower(("a", "b", "n")).of(positive, counts)
    ratio = values[0, drawn].sum() / positive[1, drawn].sum()
    assert power == pytest.approx((ratio ** positive[2, drawn]).mean())
    [mean] = HarmonicMean(("a", "b", "c", "d")).of(np.stack([*positive[:2], *positive[:2]]), counts)
    assert mean == pytest.approx(ratio)


def test_a_column_of_a_ratio_has_a_name_of_its_own() -> None:
    with pytest.raises(ValueError, match="two columns of a table would be called 'f1'"):
        Chain.model_validate({"uses": "chain", "measures": [{"uses": "label_f1"}], "graders": {"f1": "exact"}})


def test_the_power_of_a_ratio_by_hand() -> None:
    """Three of four states are right, p = 3/4: problems of one and of two states would be right with p and p^2."""
    values = np.array([[1.0, 2.0], [2.0, 2.0], [1.0, 2.0]])
    assert declared(("right", "tried")).value(values[:2]) == 3 / 4
    assert declared(("right", "tried", "n")).value(values) == pytest.approx((3 / 4 + 9 / 16) / 2)


def test_steps_that_succeed_alike_are_right_as_often_as_independent_ones() -> None:
    """20,000 procedures of 1 to 6 states that succeed with 0.8 each: `independent` is the sequential match."""
    rng = np.random.default_rng(0)
    n = rng.integers(1, 7, 20_000)
    right = np.minimum(rng.geometric(0.2, 20_000) - 1, n)
    values = np.stack([right, np.minimum(right + 1, n), n]).astype(float)
    assert declared(("right", "tried")).value(values[:2]) == pytest.approx(0.8, abs=0.01)
    assert declared(("right", "tried", "n")).value(values) == pytest.approx((right == n).mean(), abs=0.01)


def test_risk_and_area_by_hand() -> None:
    """Half of an answer is an abstention: one wrong of 1.5 answered. Of three answers the surest and the last are
    right: risks 0, 1/2, 1/3."""
    assert Risk().value(np.array([[0.5, 0.0, 0.0], [0.5, 1.0, 0.0]])) == pytest.approx(1 / 1.5)
    values = np.array([[0.9, 0.5, 0.1, np.nan], [1.0, 0.0, 1.0, 1.0]])
    assert AreaUnderCurve().value(values) == pytest.approx((0 + 1 / 2 + 1 / 3) / 3)
    assert np.isnan(AreaUnderCurve().value(np.full((2, 3), np.nan)))
    assert (Risk().counted(np.array([[0.0, 0.0], [1.0, 0.0]])), AreaUnderCurve().counted(values)) == (1, 3)


def test_a_figure_depends_on_the_problems_that_it_divides_by() -> None:
    values = np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    kinds = {("a", "b"): 2, ("a", "b", "n"): 2, ("a", "b", "c", "d"): 1}
    assert {names: declared(names).counted(values[: len(names)]) for names in kinds} == kinds


def test_figures_are_those_that_tables_declare() -> None:
    one, other = ({"metrics": {"summary": {"ratios": {"f1": pair}}}} for pair in (["a", "b"], ["a", "c"]))
    found = figures_among(["accuracy", "f1", "risk"], one, {"metrics": {}}, {})
    assert found == {"f1": RatioOfSums(("a", "b")), "risk": Risk()}
    with pytest.raises(UserError, match="f1: one table makes it of a, c, another of a, b. Evaluate all arms with the"):
        figures_among(["f1"], one, other)
    with pytest.raises(UserError, match=r"ratios: expected 2, 3 or 4 columns, got \['a'\]. Name two for a ratio"):
        declared(("a",))
