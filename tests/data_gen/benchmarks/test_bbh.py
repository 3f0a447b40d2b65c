"""BIG-Bench Hard: sixteen subsets, each a task of its own."""

from __future__ import annotations

from typing import Any

import pytest

from data_gen.records.verdict import Answer, Verdict
from tests.benchmark_data import ROOT, built, file
from tests.data_gen.benchmarks.checks import Benchmark, row_tests

TARGETS = {
    "boolean_expressions": ("True", "False", "True"),
    "dyck_languages": ("] ]", "}", ") >"),
    "formal_fallacies": ("valid", "invalid", "valid"),
    "multistep_arithmetic_two": ("24", "-50", "0"),
    "navigate": ("Yes", "No", "No"),
    "object_counting": ("8", "15", "3"),
    "web_of_lies": ("Yes", "No", "No"),
    "word_sorting": ("abc it&t zoo", "dot", "a b"),
}
"""Targets of hand-made rows. Those of all other subsets are letters."""


def bbh(subset: str) -> Benchmark:
    def row(i: int) -> dict[str, Any]:
        return {"input": f"Row {i}\nOptions:\n(A) x\n(B) y", "target": TARGETS.get(subset, ("(A)", "(B)", "(A)"))[i]}

    return Benchmark(f"bbh_{subset}", row, f"bbh/{subset}.jsonl", 146 if subset == "penguins_in_a_table" else 250)


SETS = [bbh(path.stem.removeprefix("bbh_")) for path in sorted((ROOT / "configs/tasks").glob("bbh_*.yaml"))]


test_hand_made_rows, test_real_rows = row_tests(SETS)


def test_every_subset_is_there() -> None:
    assert len(SETS) == 16 and TARGETS.keys() <= {str(benchmark).removeprefix("bbh_") for benchmark in SETS}


@pytest.mark.parametrize(
    ("subset", "gold", "right", "wrong"),
    [
        ("dyck_languages", "] ] >", "] ] >", "] > ]"),
        ("word_sorting", "syndrome therefrom", "syndrome therefrom", "therefrom syndrome"),
        ("formal_fallacies", "invalid", "Invalid.", "valid"),
        ("navigate", "No", "no, you do not", "Yes"),
        ("date_understanding", "(B)", "B", "(A)"),
        ("object_counting", "8", "8.0", "9"),
    ],
)
def test_what_else_is_right(subset: str, gold: str, right: str, wrong: str) -> None:
    task = built(f"bbh_{subset}", path=file(f"bbh/{subset}.jsonl"))
    problem = next(p for p in task.problems("test") if p.gold == gold)
    verdicts = [task.grade(problem, Answer(answer)).verdict for answer in (right, wrong)]
    assert verdicts == [Verdict.CORRECT, Verdict.WRONG]
