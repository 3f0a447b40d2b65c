"""Shares of completions that a limit cut, and the warnings about them."""

from __future__ import annotations

import pytest

from reasoning_train.evaluation.cut import CutCount, cut_warning
from reasoning_train.evaluation.summary import summarise_rows
from reasoning_train.evaluation.tables import summary_table
from tests.data_gen.labelling.plant import answer, cut, plant, step
from tests.reasoning_train.evaluation.rows import row


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ({}, ""),
        ({"a": 0.02, "b": 0.0}, ""),
        ({"a": 0.021}, "a limit cut 2.1 % of a: raise max_tokens"),
        ({"a": 0.03, "b": 0.01, "c": 1.0}, "a limit cut 100.0 % of c, 3.0 % of a: raise max_tokens"),
    ],
)
def test_a_warning_names_every_share_above_two_per_cent(shares: dict[str, float], said: str) -> None:
    assert cut_warning(shares) == said


def test_a_table_warns_of_greedy_completions_and_of_samples() -> None:
    """1 of 4 greedy completions of `base` and 3 of 8 samples of `tuned` were cut."""
    rows = [row("base", f"p{i}", True, cut=float(i == 0), sampled_cut=(False, False)) for i in range(4)]
    rows += [row("tuned", f"p{i}", True, sampled_cut=(i < 2, i < 1)) for i in range(4)]
    summary = summarise_rows(rows, ["base", "tuned"], [])
    assert summary["cut_samples"] == {"base": 0.0, "tuned": 0.375}
    title = summary_table(summary)["title"]
    assert title.endswith("Warning: a limit cut 37.5 % of the samples of tuned, 25.0 % of base: raise max_tokens")
    whole = summarise_rows([row("base", "p0", True, sampled_cut=(False,))], ["base"], [])
    assert "Warning" not in summary_table(whole)["title"]


def test_drawn_ends_of_trees_are_counted() -> None:
    """Three ends with answers and one that was cut, of two trees."""
    tree = plant(step("a", answer(1, draws=2), answer(0)), step("b", cut("c")))
    count = CutCount()
    assert list(count.counting([tree, tree])) == [tree, tree]
    assert (count.ends, count.cut, count.share) == (8, 2, 0.25) and CutCount().share == 0.0
