"""Which candidate `choose` takes, whatever the values."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reasoning_train.stages.choose import best_of, tried

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
