"""Which problems a restriction asks for."""

from __future__ import annotations

from typing import Any

import pytest

from data_gen.errors import UserError
from data_gen.records.problem import Problem
from reasoning_train.evaluation.groups import count_asked, fits, group_of


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


def _problems() -> list[Problem]:
    subjects = ["algebra", "algebra", "geometry"]
    return [
        Problem(
            id=str(i),
            group=str(i),
            split="test",
            question="?",
            gold="1",
            tags={"subject": subject},
            difficulty=float(i),
        )
        for i, subject in enumerate(subjects)
    ]


def test_the_problems_asked_for_are_counted() -> None:
    assert count_asked(_problems(), [], {}) == 3
    assert count_asked(_problems(), ["subject", "difficulty"], {"subject": "algebra"}) == 2
    assert count_asked(_problems(), ["subject"], {"subject": "algebra"}, limit=1) == 1


@pytest.mark.parametrize(
    ("by", "where", "message"),
    [
        (["sbject"], {}, "by: no problem has a tag 'sbject'. Did you mean 'subject'?"),
        ([], {"levl": 3}, "where: no problem has a tag 'levl'."),
        ([], {"subject": "logic"}, "where: no problem matches {'subject': 'logic'}"),
    ],
)
def test_tags_that_no_problem_has(by: list[str], where: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        count_asked(_problems(), by, where)
    assert message in str(caught.value)
