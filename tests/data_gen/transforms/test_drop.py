"""`drop`: levels by hand on a trace of A* search, and how often each is drawn (Dualformer, section 4.1)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from data_gen.records.solution import Solution
from tests.data_gen.transforms.test_forms import told
from tests.data_gen.transforms.test_transforms import made, worked

CLAUSES = ("create 0 0 c0 c3", "close 0 0 c0 c3", "create 0 1 c1 c2", "close 0 1 c1 c2", "create 1 1 c2 c1")
TRACE = told(*(("step", clause + "\n") for clause in CLAUSES), ("answer", "plan 0 0 plan 0 1 plan 1 1"))
LEVELS: list[dict[str, Any]] = [
    {"odds": 0.45},
    {"odds": 1 / 6, "steps": "^close"},
    {"odds": 1 / 6, "inside": r" c\d+ c\d+"},
    {"odds": 1 / 6, "share": 0.3},
    {"odds": 0.05, "share": 1},
]


def drawn(n: int, levels: list[dict[str, Any]] = LEVELS) -> list[Solution]:
    return made({"uses": "drop", "levels": levels}, [replace(TRACE, sample=i) for i in range(n)])


PLAN = "plan 0 0 plan 0 1 plan 1 1"
CREATED = ["create 0 0", "create 0 1", "create 1 1"]
GOLDEN = {
    "0": TRACE.text,
    "1": f"create 0 0 c0 c3\ncreate 0 1 c1 c2\ncreate 1 1 c2 c1\n{PLAN}",
    "2": "\n".join([*CREATED, PLAN]),
    "4": PLAN,
}


def test_each_level_leaves_out_what_the_levels_before_it_do() -> None:
    found = drawn(400)
    for level, text in GOLDEN.items():
        assert {row.text for row in found if row.tags["drop"] == level} == {text}
    for row in found:
        if row.tags["drop"] == "3":
            *created, plan = row.text.split("\n")
            assert plan == PLAN and created == [clause for clause in CREATED if clause in created]


def test_levels_are_drawn_as_often_as_their_odds_say() -> None:
    """6,000 rows, and the clauses that level 3 drops: within 4.5 standard deviations."""
    found = drawn(6000)
    counts = Counter(row.tags["drop"] for row in found)
    total = sum(level["odds"] for level in LEVELS)
    for i, level in enumerate(LEVELS):
        p = level["odds"] / total
        assert abs(counts[str(i)] - 6000 * p) < 4.5 * (6000 * p * (1 - p)) ** 0.5
    third = [row for row in found if row.tags["drop"] == "3"]
    dropped = sum(3 - row.text.count("create") for row in third)
    assert abs(dropped - 3 * len(third) * 0.3) < 4.5 * (3 * len(third) * 0.3 * 0.7) ** 0.5


def test_every_step_with_one_probability() -> None:
    """10,000 steps, a share of 0.3."""
    [one] = made({"uses": "drop", "levels": [{"share": 0.3}]}, [worked(10_000)])
    numbers = [int(step.split()[1]) for step in one.steps]
    assert abs(len(numbers) - 7000) < 4.5 * (10_000 * 0.3 * 0.7) ** 0.5
    assert numbers == sorted(numbers)
    assert one.segments[-1].kind == "answer"


def test_a_row_that_loses_nothing_keeps_its_ids() -> None:
    [one] = made({"uses": "drop", "levels": [{}]}, [worked(3)])
    assert one == replace(worked(3), tags={"drop": "0"})


@pytest.mark.parametrize(("kinds", "left"), [(["think"], "step"), (["think", "step", "answer"], None)])
def test_other_kinds_may_be_dropped(kinds: list[str], left: str | None) -> None:
    row = told(("think", "Hm.\n"), ("step", "12 + 5 = 17\n"), ("answer", "17"))
    found = made({"uses": "drop", "levels": [{"share": 1}], "kinds": kinds}, [row])
    assert [one.segments[0].kind for one in found] == ([left] if left else [])
