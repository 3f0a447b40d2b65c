"""Ratios of sums: F1 by hand, over a table and in its groups, with intervals and paired differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.tasks.chain import Chain
from reasoning_train.evaluation.ratios import ratio_arrays
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
RATIOS = Chain.model_validate({"uses": "chain", "measures": [{"uses": "label_f1", "label": "T"}]}).ratios()


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


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_the_mean_is_the_ratio_and_an_exact_multiple_has_no_spread(pairs: list[tuple[int, int]]) -> None:
    top, bottom = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
    found = ratio_arrays(
        {"a": top, "b": bottom, "c": 2 * bottom}, {"r": ("a", "b"), "two": ("c", "b"), "x": ("a", "d")}
    )
    assert found.keys() == ({"r", "two"} if bottom.sum() else set())
    if bottom.sum():
        assert found["r"].mean() == pytest.approx(top.sum() / bottom.sum())
        assert found["two"] == pytest.approx(np.full(len(pairs), 2.0))


def test_a_column_of_a_ratio_has_a_name_of_its_own() -> None:
    with pytest.raises(ValueError, match="two columns of a table would be called 'f1'"):
        Chain.model_validate({"uses": "chain", "measures": [{"uses": "label_f1"}], "graders": {"f1": "exact"}})


def test_the_power_of_a_ratio_by_hand() -> None:
    """Three of four states are right, p = 3/4: problems of one and of two states would be right with p and p^2."""
    arrays = {"right": np.array([1.0, 2.0]), "tried": np.array([2.0, 2.0]), "n": np.array([1.0, 2.0])}
    found = ratio_arrays(arrays, {"p": ("right", "tried"), "independent": ("right", "tried", "n")})
    assert found["p"].mean() == pytest.approx(3 / 4)
    assert found["independent"].mean() == pytest.approx((3 / 4 + 9 / 16) / 2)


def test_steps_that_succeed_alike_are_right_as_often_as_independent_ones() -> None:
    """20,000 procedures of 1 to 6 states that succeed with 0.8 each: `independent` is the sequential match."""
    rng = np.random.default_rng(0)
    n = rng.integers(1, 7, 20_000)
    right = np.minimum(rng.geometric(0.2, 20_000) - 1, n)
    arrays = {"right": right.astype(float), "tried": np.minimum(right + 1, n).astype(float), "n": n.astype(float)}
    found = ratio_arrays(arrays, {"p": ("right", "tried"), "independent": ("right", "tried", "n")})
    assert found["p"].mean() == pytest.approx(0.8, abs=0.01)
    assert found["independent"].mean() == pytest.approx((right == n).mean(), abs=0.01)
