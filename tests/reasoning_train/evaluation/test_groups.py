"""Which problems a restriction asks for."""

from __future__ import annotations

from typing import Any

import pytest

from reasoning_train.evaluation.groups import fits, group_of


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ({}, True),
        ({"subject": "algebra"}, True),
        ({"subject": "geometry"}, False),
        ({"subject": ["algebra", "geometry"]}, True),
        ({"level": 4}, True),  # a tag is text, a recipe may write a number
        ({"level": 4.0, "subject": "algebra"}, True),
        ({"level": 5, "subject": "algebra"}, False),
        ({"hard": True}, True),
        ({"difficulty": 2.5}, True),
        ({"difficulty": [1, 2]}, False),
        ({"source": "gsm8k"}, False),  # no such tag
    ],
)
def test_all_names_must_fit_and_any_value_of_one(where: dict[str, Any], found: bool) -> None:
    tags = {"subject": "algebra", "level": "4", "hard": "true"}
    assert fits(where, tags, 2.5) is found


def test_a_problem_without_a_difficulty_is_in_no_group() -> None:
    assert group_of("difficulty", {"difficulty": "1"}, None) is None
    assert not fits({"difficulty": 1}, {}, None)
