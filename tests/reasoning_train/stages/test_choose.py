"""Which candidate `choose` takes, whatever the values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.errors import UserError
from reasoning_train.stages.choose import best_of, tried
from tests.reasoning_train.bench import Bench, rows_of, solution
from tests.reasoning_train.evaluation.rows import row, rows

values = st.dictionaries(st.text("abcd", min_size=1, max_size=2), st.integers(-3, 3).map(lambda n: n / 2), min_size=1)


@given(values)
def test_the_chosen_value_is_the_greatest_or_the_least_where_lower_is_better(found: dict[str, float]) -> None:
    assert found[best_of(found)] == max(found.values())
    assert found[best_of(found, lower=True)] == min(found.values())
    assert best_of(found, lower=True) == best_of({name: -value for name, value in found.items()})


@given(values)
def test_the_first_of_equal_ones_is_chosen_and_marked(found: dict[str, float]) -> None:
    chosen = best_of(found)
    assert chosen == next(name for name, value in found.items() if value == max(found.values()))
    rows = tried("accuracy", found, chosen, {name: name for name in found})["rows"]
    assert [name for name, _, note in rows if note == "chosen"] == [chosen]


@pytest.mark.parametrize(
    ("metric", "chosen"), [("accuracy", "b"), ("tokens", "a"), ("cut", "a"), ("errors", "a"), ("hits", "b")]
)
def test_less_is_better_for_costs_and_for_measures_that_say_so(bench: Bench, metric: str, chosen: str) -> None:
    made = [
        row(name, "p0", name == "b", tokens=k, cut=k / 2, measures={"errors": float(k), "hits": float(k)})
        for k, name in enumerate("ab")
    ]
    table = bench.given("t", "t_evaluation", made, metrics={"summary": {"lower": ["errors"]}})
    policies = {"a": bench.model("one"), "b": bench.model("two")}
    best = bench.make("best", "choose", policies=policies, table=table, metric=metric)
    assert best.manifest["metrics"]["chosen"] == chosen


def test_a_pool_is_published_as_it_is(bench: Bench) -> None:
    """Of two pools of solutions of p0, the one whose table is better on dev."""
    pools = {name: bench.solutions(name, [solution("p0", name)]) for name in "ab"}
    tables = {name: bench.given(f"dev_{name}", "t_evaluation", rows("self", [name == "b"])) for name in "ab"}
    best = bench.make("best", "choose", policies=pools, table=tables, row="self")
    assert best.manifest["metrics"]["chosen"] == "b" and rows_of(best) == rows_of(bench.store.open(bench.nodes["b"]))
    assert best.manifest["outputs"]["model"]["kind"] == "solutions"


def test_a_figure_of_whole_rows_may_decide(bench: Bench) -> None:
    """`b` says the label once and rightly, `a` always: their summary has an F1, and no row has one."""
    figures = {"a": {"f1": [0.4, 0.1, 0.7]}, "b": {"f1": [0.6, 0.2, 0.9]}}
    summary = {"ratios": {"f1": ["hits", "either"]}, "policies": figures}
    made = [row(name, "p0", True) for name in "ab"]
    table = bench.given("t", "t_evaluation", made, metrics={"summary": summary})
    policies = {"a": bench.model("one"), "b": bench.model("two")}
    best = bench.make("best", "choose", policies=policies, table=table, metric="f1")
    assert best.manifest["metrics"]["values"] == {"a": 0.4, "b": 0.6} and best.manifest["metrics"]["chosen"] == "b"
    with pytest.raises(UserError, match=r"choose.metric: row 'a' of t has no risk; it has f1."):
        bench.make("other", "choose", policies=policies, table=table, metric="risk")
