"""Columns beside the verdict: measures and further graders of a task."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from data_gen.measures import MEASURES, Direction
from data_gen.records.problem import Problem
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from data_gen.records.verdict import Verdict
from data_gen.tasks.chain import Chain
from data_gen.tasks.merged import Merged

PROBLEM = Problem(id="p", question="q", gold="3", group="p", split="test", gold_steps=("1 + 1 = 2", "2 + 1 = 3"))


def solution(*pieces: tuple[Kind, str], finish: str = "stop", answer: str | None = None) -> Solution:
    segments = tuple(Segment(kind=kind, text=text, token_ids=(1, 2)) for kind, text in pieces)
    return Solution(
        problem_id="p", sample=0, prompt="", segments=segments, answer=answer, verdict=Verdict.WRONG, finish=finish
    )


WHOLE = solution(
    (Kind.STEP, "1 + 1 = 2\n"), (Kind.OBSERVATION, "2\n"), (Kind.STEP, "2 + 1 = 4\n"), (Kind.ANSWER, "Answer: 4")
)


def task(**fields: Any) -> Chain:
    return Chain.model_validate({"uses": "chain", **fields})


def test_measures_by_hand() -> None:
    made = task(measures=["steps", "completion_tokens", "step_accuracy", "format_ok"])
    assert made.measure(PROBLEM, WHOLE) == {
        "steps": 2.0,
        "completion_tokens": 6.0,
        "step_accuracy": 0.5,
        "exact_trace": 0.0,
        "format_ok": 1.0,
    }
    assert {name for name, way in made.directions().items() if way is Direction.LOWER} == {"steps", "completion_tokens"}
    assert made.directions().keys() == made.measure(PROBLEM, WHOLE).keys()
    assert made.measure(PROBLEM, replace(WHOLE, finish="length"))["format_ok"] == 0.0


@pytest.mark.parametrize(
    ("gold", "answer", "columns"),
    [
        ("[1, 2, 3]", "[1, 2, 3]", (3, 1, 1, 1)),
        ("[1, 2, 3]", "[1, 9, 3]", (1, 1 / 3, 0, 1)),
        ("[1, 2]", "[1, 2, 3, 4]", (2, 0.5, 0, 0)),
        ("[]", "[]", (0, 1, 1, 1)),
        ('["", "a"]', '["", "b"]', (1, 0.5, 0, 0)),
        ("[1]", None, (0, 0, 0, 0)),
    ],
)
def test_prefixes_of_lists_by_hand(gold: str, answer: str | None, columns: tuple[float, ...]) -> None:
    found = task(measures=["prefix_match"]).measure(replace(PROBLEM, gold=gold), solution(answer=answer))
    assert tuple(found.values()) == pytest.approx(columns)


def test_fields_of_objects_make_one_list() -> None:
    made = task(measures=[{"uses": "prefix_match", "fields": ["intermediate", "final"]}])
    problem = replace(PROBLEM, gold='{"final": "bistt", "init": "itstb", "intermediate": ["btsti"]}')
    said = solution(answer='{"intermediate": ["btsti"], "final": "bistx"}')
    assert made.measure(problem, said) == {
        "prefix_length": 1.0,
        "prefix_accuracy": 0.5,
        "sequential_match": 0.0,
        "final_match": 0.0,
    }


def test_gold_that_cannot_be_read_gives_no_column_instead_of_0() -> None:
    made = task(graders={"number": "integer", "strict": "exact"}, measures=["prefix_match"])
    unread = replace(PROBLEM, gold="{}")
    assert made.measure(unread, solution((Kind.ANSWER, "Answer: 4"), answer="4")) == {"strict": 0.0}
    assert made.measure(PROBLEM, solution(answer="4")).keys() == made.directions().keys()


def test_scores_and_shares_lie_between_0_and_1() -> None:
    made = task(graders={"strict": "exact"}, measures=["steps", "format_ok", "step_accuracy", "prefix_match"])
    counts = {"steps", "prefix_length"}
    assert made.shares() == made.directions().keys() - counts
    other = task(graders={"steps": "exact"})
    assert Merged(members={"a": made, "b": other}).shares() == made.shares()  # `steps` is a count in one of them


def test_elements_are_separated_as_the_grader_separates_them() -> None:
    made = task(measures=[{"uses": "prefix_match", "separator": ";"}])
    found = made.measure(replace(PROBLEM, gold="a, b; c"), solution(answer="a, b; d"))
    assert tuple(found.values()) == (1.0, 0.5, 0.0, 0.0)


def test_further_graders_give_a_column_each_and_look_where_they_are_told() -> None:
    graders = {"strict": {"grader": "exact", "extract": [{"uses": "mark", "mark": "#### "}]}, "flexible": "auto"}
    made = task(graders=graders, format={"extract": ["last_number"]})
    said = solution((Kind.STEP, "It is 3.0\n"), (Kind.ANSWER, "#### three"))
    assert made.measure(PROBLEM, said) == {"strict": 0.0, "flexible": 1.0}
    assert made.measure(PROBLEM, solution((Kind.ANSWER, "#### 3"))) == {"strict": 1.0, "flexible": 1.0}
    assert made.measure(PROBLEM, replace(said, finish="length")) == {"strict": 0.0, "flexible": 0.0}
    assert type(made).model_validate(made.model_dump(mode="json")) == made


def test_the_answer_is_not_read_from_thoughts_and_tools() -> None:
    thought = solution((Kind.THINK, "Answer: 3\n"), (Kind.OBSERVATION, "Answer: 3\n"), (Kind.ANSWER, "Answer: 4"))
    assert task().grade_solution(PROBLEM, thought.segments).verdict is Verdict.WRONG
    assert task().grade_solution(PROBLEM, thought.segments[:2]).reason == "no_answer"
    assert task().grade_solution(PROBLEM, ()).reason == "no_answer"


@pytest.mark.parametrize("name", MEASURES.names())
def test_a_measure_that_does_not_say_that_it_reads_gold_does_not(name: str) -> None:
    """Votes by a measure that reads gold are marked; any other must be the same whatever gold is."""
    measure = MEASURES.get(name).model_validate({"uses": name})
    golds = [PROBLEM, replace(PROBLEM, gold="4", gold_steps=()), replace(PROBLEM, gold=None, gold_steps=())]
    found = [measure.of(task(), problem, replace(WHOLE, answer="4", score=None)) for problem in golds]
    assert measure.reads_gold or all(columns == found[0] for columns in found)


@pytest.mark.parametrize(
    "fields", [{"measures": ["steps", "steps"]}, {"measures": ["steps"], "graders": {"steps": "exact"}}]
)
def test_two_columns_of_one_name_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="two columns of a table would be called 'steps'"):
        task(**fields)


@pytest.mark.parametrize("name", ["accuracy", "trace", "tokens", "cut", "pass@1", "maj@8"])
def test_a_column_that_tables_have_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=f"would be called '{name}'"):
        task(graders={name: "exact"})


def test_merged_tasks_measure_each_problem_by_its_own() -> None:
    merged = Merged(members={"a": task(measures=["steps"]), "b": task(measures=["format_ok"])})
    assert merged.measure(replace(PROBLEM, task="a"), WHOLE) == {"steps": 2.0}
    assert merged.directions().keys() == {"steps", "format_ok"}
