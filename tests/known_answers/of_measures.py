"""Measures: columns of a few solutions of chain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from data_gen.graders.exact import Exact
from data_gen.measures import MEASURES
from data_gen.records.problem import Problem
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from data_gen.records.verdict import Verdict
from data_gen.tasks.chain import Chain
from tests.known_answers.cases import case

PROBLEM = Problem(
    id="p", question="q", gold="[1, 2, 3]", group="p", split="test", gold_steps=("1 + 1 = 2", "2 + 1 = 3")
)
SAID: list[tuple[list[str], str | None, str]] = [
    (["1 + 1 = 2", "2 + 1 = 3"], "[1, 2, 3]", "stop"),
    (["1 + 1 = 2", "2 + 1 = 4"], "[1, 2, 4]", "stop"),
    (["1 + 1 = 2"], "[2, 3]", "length"),
    ([], None, "stop"),
]


def solution(steps: list[str], answer: str | None, finish: str) -> Solution:
    """Two tokens a segment."""
    texts = [(Kind.STEP, f"{step}\n") for step in steps]
    texts += [(Kind.ANSWER, f"Answer: {answer}")] if answer else []
    segments = tuple(Segment(kind=kind, text=text, token_ids=(1, 2)) for kind, text in texts)
    return Solution(
        problem_id="p",
        sample=0,
        prompt="",
        segments=segments,
        answer=answer,
        verdict=Verdict.WRONG,
        finish=finish,
        score=0.25 if answer else None,
    )


@case(
    "measure",
    "completion_tokens",
    "constant",
    "format_ok",
    "prefix_match",
    "score",
    "state_accuracy",
    "step_accuracy",
    "steps",
)
def measure(name: str) -> Any:
    """Right, half right, cut, and empty."""
    made, task = MEASURES.get(name).model_validate({"uses": name}), Chain(uses="chain")
    columns = [made.of(task, PROBLEM, solution(*said)) for said in SAID]
    return {"directions": made.directions(), "columns": columns}


@case("measure", "proof")
def proof() -> Any:
    """The whole proof, one with a stray and an invalid sentence, its conclusion alone, nothing, and no gold proof."""
    gold = ("Max is a cat.", "Cats are mammals.", "Max is a mammal.", "Each mammal is not cold.", "Max is not cold.")
    told = "Cats are mammals. Each mammal is not cold. Cats are furry. Max is a cat. Is this true? Max is cold."
    given = replace(PROBLEM, question=told, gold_steps=gold)
    made, task = MEASURES.get("proof").model_validate({"uses": "proof"}), Chain(uses="chain")
    said = [list(gold), ["Max is furry.", "Max is blue."], ["So Max is not cold."], []]
    columns = [made.of(task, given, solution(steps, "B", "stop")) for steps in said]
    without = made.of(task, replace(given, gold_steps=()), solution(["Max is furry."], "B", "stop"))
    return {"directions": made.directions(), "columns": columns, "without": without}


@case("measure", "label_f1")
def label_f1() -> Any:
    """Gold is the label, or another; answers say it, say another, or nothing."""
    made = MEASURES.get("label_f1").model_validate({"uses": "label_f1", "label": "[1, 2, 3]"})
    task = Chain(uses="chain", grader=Exact())
    problems = [PROBLEM, replace(PROBLEM, gold="[1]"), replace(PROBLEM, gold=None)]
    columns = [[made.of(task, problem, solution(*said)) for said in SAID] for problem in problems]
    return {"directions": made.directions(), "ratios": made.ratios(), "columns": columns}
