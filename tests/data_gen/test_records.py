"""Rows survive Parquet and lose nothing."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.errors import UserError
from data_gen.records.problem import Problem
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from data_gen.records.verdict import Verdict
from reasoning_train.store.rows import Rows, write_rows

text = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=8)
ids = st.lists(st.integers(0, 2**31 - 1), max_size=4).map(tuple)
halves = st.sampled_from([0.0, 0.5, 1.0, -1.5])
problems = st.builds(
    Problem,
    id=text,
    question=text,
    gold=st.none() | text,
    group=text,
    split=text,
    gold_steps=st.lists(text).map(tuple),
    choices=st.lists(text).map(tuple),
    difficulty=st.none() | halves,
    payload=text,
    tags=st.dictionaries(text, text, max_size=2),
)
segments = st.builds(Segment, kind=st.sampled_from(Kind), text=text, token_ids=ids, weight=halves)
solutions = st.builds(
    Solution,
    problem_id=text,
    sample=st.integers(-1, 9),
    prompt=text,
    segments=st.lists(segments, max_size=3).map(tuple),
    answer=st.none() | text,
    verdict=st.sampled_from(list(Verdict)),
    finish=st.sampled_from(["stop", "length", "gold"]),
    reason=text,
    steps_ok=st.none() | st.booleans(),
    prompt_ids=ids,
    logprobs=st.lists(halves, max_size=3).map(tuple),
    group=text,
    difficulty=st.none() | halves,
    temperature=st.none() | halves,
    weight=halves,
    tags=st.dictionaries(text, text, max_size=2),
)


@given(problems)
def test_problems_round_trip(problem: Problem) -> None:
    assert Problem.from_row(problem.to_row()) == problem


@given(solutions)
def test_solutions_round_trip(solution: Solution) -> None:
    assert Solution.from_row(solution.to_row()) == solution


def example() -> Solution:
    return Solution(
        problem_id="p",
        sample=0,
        prompt="Q\n",
        verdict=Verdict.CORRECT,
        answer="17",
        finish="stop",
        logprobs=(-0.5, -0.25, 0.0),
        segments=(
            Segment(kind=Kind.STEP, text=" 12 + 5 = 17\n", token_ids=(4,)),
            Segment(kind=Kind.ANSWER, text="Answer: 17", token_ids=(5,)),
            Segment(kind=Kind.END, text="", token_ids=(1,)),
        ),
    )


def test_parquet_gives_both_back(tmp_path: Path) -> None:
    problem = Problem(
        id="p",
        question="Q",
        gold=None,
        group="g",
        split="train",
        gold_steps=("a", "b"),
        tags={"subject": "é", "level": "3"},
    )
    for kind, record in (("problems", problem), ("solutions", example())):
        folder = tmp_path / kind
        folder.mkdir()
        write_rows(folder, kind, [record.to_row()])
        [row] = Rows(folder)
        assert type(record).from_row(row) == record


def test_derived_views_and_the_hubs_columns() -> None:
    solution = example()
    assert solution.text == " 12 + 5 = 17\nAnswer: 17"
    assert solution.token_ids == (4, 5, 1)
    assert solution.steps == ("12 + 5 = 17",)
    row = solution.to_row()
    assert list(row)[:2] == ["prompt", "completion"]
    assert (row["prompt"], row["completion"], row["verdict"]) == ("Q\n", solution.text, "correct")


def test_rows_of_other_tools_may_have_more_columns() -> None:
    assert Solution.from_row({**example().to_row(), "quality": 0.5}) == example()


def test_the_kinds_are_a_closed_set_each_with_its_weight() -> None:
    weights = {kind: Segment(kind=kind, text="").weight for kind in Kind}
    assert {kind for kind, weight in weights.items() if weight == 0.0} == {Kind.PROMPT, Kind.OBSERVATION}
    assert set(weights.values()) == {0.0, 1.0}
    assert Segment(kind=Kind.OBSERVATION, text="", weight=1.0).weight == 1.0
    known = "prompt, plan, think, step, action, observation, code, answer, control, end"
    with pytest.raises(UserError, match=f"A segment's kind is 'tool'; expected one of {known}"):
        Segment(kind="tool", text="2")  # type: ignore[arg-type]


def test_records_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        example().answer = "18"  # type: ignore[misc]
