"""Which candidate `choose` takes, whatever the values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning_train.stages.choose import best_of, tried
from tests.reasoning_train.bench import Bench
from tests.reasoning_train.evaluation.rows import row

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
