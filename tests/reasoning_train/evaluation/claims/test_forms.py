"""Forms of claims: their comparisons by hand, their messages, and a form of another package."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from reasoning_train.evaluation.claims import CLAIM_FORMS, ClaimForm, Statement
from reasoning_train.evaluation.claims.trend import Trend

FORM: TypeAdapter[ClaimForm] = TypeAdapter(CLAIM_FORMS.union())


@pytest.mark.parametrize(
    ("form", "statements"),
    [
        (
            {"uses": "difference", "better": "a", "than": "b", "margin": 0.1},
            [Statement("a - b", {"a": 1, "b": -1}, 0.1)],
        ),
        (
            {"uses": "difference", "better": "a", "than": "b", "control": "c"},
            [
                Statement("a - b", {"a": 1, "b": -1}),
                Statement("c - b", {"c": 1, "b": -1}, claimed=False),
                Statement("a - c", {"a": 1, "c": -1}),
            ],
        ),
        ({"uses": "within", "arm": "a", "of": "b", "margin": 0.02}, [Statement("a - b", {"a": 1, "b": -1}, -0.02)]),
        (
            {"uses": "contrast", "weights": {"a": -1, "b": 0.5, "c": 0.5}},
            [Statement("- a + 0.5 b + 0.5 c", {"a": -1, "b": 0.5, "c": 0.5})],
        ),
        (
            {"uses": "trend", "arms": ["a", "b", "c"], "at": [1, 2, 6]},  # mean 3, squares 4 + 1 + 9
            [
                Statement("slope of a, b, c", {"a": -2 / 14, "b": -1 / 14, "c": 3 / 14}),
                Statement("b - a", {"b": 1, "a": -1}, claimed=False),
                Statement("c - b", {"c": 1, "b": -1}, claimed=False),
            ],
        ),
    ],
)
def test_parts_by_hand(form: dict[str, Any], statements: list[Statement]) -> None:
    made = FORM.validate_python(form)
    assert made.statements() == statements
    assert {row for _, row in made.named()} == {row for statement in statements for row in statement.weights}
    assert all(sum(statement.weights.values()) == pytest.approx(0) for statement in statements)


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=6), st.data())
def test_the_trend_is_the_slope_of_least_squares(values: list[float], data: st.DataObject) -> None:
    steps = data.draw(st.lists(st.floats(0.1, 3), min_size=len(values), max_size=len(values)))
    at = [float(x) for x in np.cumsum(steps)]
    weights = Trend(arms=[f"a{i}" for i in range(len(values))], at=at).weights()
    slope = sum(weight * value for weight, value in zip(weights.values(), values, strict=True))
    assert slope == pytest.approx(np.polyfit(at, values, 1)[0], abs=1e-6)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"uses": "contrast", "weights": {"a": 1, "b": 1}}, "weights must differ from 0 and sum to 0, got {'a': 1.0"),
        ({"uses": "contrast", "weights": {"a": 1, "b": -1, "c": 0}}, "weights must differ from 0"),
        ({"uses": "trend", "arms": ["a", "b", "a"]}, "arms: every row may be named once, got ['a', 'b', 'a']"),
        ({"uses": "trend", "arms": ["a", "b", "c"], "at": [1, 2]}, "at: expected 3 rising numbers"),
        ({"uses": "trend", "arms": ["a", "b", "c"], "at": [1, 3, 2]}, "at: expected 3 rising numbers"),
        ({"uses": "within", "arm": "a", "of": "b", "margin": 0}, "greater than 0"),
        ({"uses": "within", "arm": "a", "of": "a", "margin": 0.1}, "of: 'a' is also `arm`; a row cannot be compared"),
        ({"uses": "difference", "better": "a", "than": "a"}, "than: 'a' is also `better`; a row cannot be compared"),
        ({"uses": "difference", "better": "a", "than": "b", "control": "a"}, "control: 'a' is also `better`"),
        ({"uses": "difference", "better": "a", "than": "b", "control": "b"}, "control: 'b' is also `than`"),
    ],
)
def test_what_compares_nothing_is_refused(form: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        FORM.validate_python(form)


def test_a_form_of_another_package_is_one_class(monkeypatch: pytest.MonkeyPatch) -> None:
    CLAIM_FORMS.names()
    monkeypatch.setattr(CLAIM_FORMS, "_entries", dict(CLAIM_FORMS._entries))

    @CLAIM_FORMS.register("best_of_two")
    class BestOfTwo(ClaimForm):
        """The first beats the mean of two others."""

        uses: Literal["best_of_two"] = "best_of_two"
        arms: tuple[str, str, str]

        def named(self) -> Iterator[tuple[str, str]]:
            yield from (("arms", row) for row in self.arms)

        def statements(self) -> list[Statement]:
            one, two, three = self.arms
            return [Statement("one against the others", {one: 1.0, two: -0.5, three: -0.5})]

    made: ClaimForm = TypeAdapter(CLAIM_FORMS.union()).validate_python({"uses": "best_of_two", "arms": ["a", "b", "c"]})
    assert made.statements()[0].weights == {"a": 1.0, "b": -0.5, "c": -0.5}
