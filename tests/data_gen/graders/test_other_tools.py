"""Graders that give other tools' numbers, row by row against what the tools themselves said
(`record_other_tools.py`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data_gen.graders import GRADERS
from data_gen.records.problem import Problem
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from data_gen.records.verdict import Verdict
from data_gen.tasks.jsonl import Jsonl
from tests.benchmark_data import file
from tests.data_gen.graders.record_other_tools import FORMS, SOLVERS, bits, solution_pairs

HERE = Path(__file__).parent
ROWS = [json.loads(line) for line in (HERE / "other_tools.jsonl").read_text(encoding="utf-8").splitlines()]
GRADER: dict[str, Any] = {
    "strict": "lm_eval_strict",
    "cot_strict": {"uses": "lm_eval_strict", "task": "gsm8k_cot"},
    "flex": "lm_eval_flex",
    "cot_flex": "lm_eval_flex",
    "math_verify": "math_verify",
}
TASK = Jsonl.model_validate(
    {"uses": "jsonl", "path": "x", "split": {"test": None}, "graders": GRADER, "answer_after": "#### "}
)


def problem(gold: str) -> Problem:
    return Problem(id="p", question="q", gold=gold, group="p", split="test")


def scores(gold: str, text: str, *names: str) -> dict[str, float]:
    task = TASK.model_copy(update={"graders": {name: TASK.graders[name] for name in names or GRADER}})
    return task.grade_beside(problem(gold), text, cut=False)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["text"][:40])
def test_a_completion_gets_each_tools_own_verdict(row: dict[str, Any]) -> None:
    assert scores(row["gold"], row["text"]) == {name: row[name] for name in GRADER}


def test_the_table_tells_the_tools_apart() -> None:
    pairs = {(a, b) for a in GRADER for b in GRADER if a != b and {a, b} != {"flex", "cot_flex"}}
    assert all(any(row[a] != row[b] for row in ROWS) for a, b in pairs)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("form", FORMS)
def test_published_solutions_get_the_harness_verdicts_row_by_row(form: str, solver: str) -> None:
    recorded = json.loads((HERE / "other_tools.json").read_text(encoding="utf-8"))[form][solver]
    pairs = solution_pairs(file("gsm8k_model_solutions.jsonl"), solver, FORMS[form])
    names = ("strict", "cot_strict", "flex", "cot_flex")
    found = [scores(gold.rpartition("#### ")[2], text, *names) for gold, text in pairs]
    assert {name: bits([row[name] == 1.0 for row in found]) for name in names} == recorded


def test_a_cut_completion_is_read_only_by_graders_of_other_tools() -> None:
    task = TASK.model_copy(update={"graders": {}})
    for name, written in {"own": "exact", "told": {"grader": "lm_eval_flex", "extract": ["last_number"]}}.items():
        more = Jsonl.model_validate({"uses": "jsonl", "path": "x", "split": {"test": None}, "graders": {name: written}})
        task = task.model_copy(update={"graders": {**task.graders, **more.graders}})
    task = task.model_copy(update={"graders": {**task.graders, **TASK.graders}})
    text = "It is 7.\nAnswer: 7"
    cut = Solution(
        prompt="q",
        problem_id="p",
        sample=0,
        segments=(Segment(kind=Kind.STEP, text=text),),
        answer=None,
        verdict=Verdict.WRONG,
        finish="length",
    )
    found = task.measure(problem("7"), cut)
    assert found == {"own": 0, "told": 0, "strict": 0, "cot_strict": 0, "flex": 1, "cot_flex": 1, "math_verify": 1}


def test_the_main_grader_and_the_format_find_one_answer() -> None:
    config: dict[str, Any] = {"uses": "jsonl", "path": "x", "split": {"test": None}, "grader": "lm_eval_flex"}
    with pytest.raises(ValueError, match="finds answers in its own way.*Name it in `graders`, or write `format"):
        Jsonl.model_validate(config)
    own = [way.model_dump() for way in GRADERS.get("lm_eval_flex").model_validate({"uses": "lm_eval_flex"}).finds_with]
    task = Jsonl.model_validate({**config, "format": {"extract": own}})
    assert task.format.extract_answer("It is 5 or $6.") == "$6."


def test_votes_join_completions_that_math_verify_takes_for_one() -> None:
    grader = TASK.graders["math_verify"].grader
    half, decimal, third = "It is $\\boxed{\\frac12}$.", "So the answer is 0.5.", "$\\frac13$"
    assert grader.same(problem("1"), half, decimal) and not grader.same(problem("1"), half, third)
    assert not grader.same(problem("1"), "none", "nothing")
