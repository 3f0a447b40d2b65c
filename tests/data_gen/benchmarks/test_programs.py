"""HumanEval and MBPP: reference programs pass their tests in the sandbox, and nothing else does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data_gen.records.problem import Problem
from data_gen.records.verdict import Answer, Grade, Verdict
from data_gen.sandbox import tiers
from data_gen.tasks import Task
from tests.benchmark_data import built, file
from tests.data_gen.benchmarks.record_human_eval import RECORD, completions
from tests.needs_sandbox import need_a_sandbox, need_webassembly

REFERENCE = {"humaneval": "canonical_solution", "mbpp": "code"}
SIZES = {"humaneval": 164, "mbpp": 974}
REPEATED = {"347"}
"""Asks what MBPP's 76 asks, with other tests: no problem of its own."""
ROWS: dict[str, dict[str, Any]] = {
    "humaneval": {
        "task_id": "HumanEval/x",
        "prompt": 'from typing import List\n\n\ndef longest(words: List[str]) -> str:\n    """ The longest word. """\n',
        "entry_point": "longest",
        "canonical_solution": "    return max(words, key=len)\n",
        "test": "\n\ndef check(candidate):\n    assert candidate(['a', 'bcd', 'ef']) == 'bcd'\n\n",
    },
    "mbpp": {
        "text": "Write a function to find the depth of a tree.",
        "code": "class Node:\r\n  def __init__(self): self.below = []\r\n"
        "def depth(node):\r\n  return 1 + max(map(depth, node.below), default=0)",
        "task_id": 3,
        "test_setup_code": "root = Node()\nroot.below = [Node()]",
        "test_list": ["assert depth(Node()) == 1", "assert depth(root) == 2"],
        "challenge_test_list": [],
    },
}


@pytest.fixture(autouse=True)
def _a_sandbox_holds() -> None:
    need_a_sandbox()


def _rows(name: str) -> Iterator[tuple[Task, Problem, str]]:
    path = file(f"{name}.jsonl")
    task = built(name, hub=None, hub_splits={}, paths={"test": path})
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    problems = {problem.id: problem for problem in task.problems("test")}
    assert set(problems) == {str(row["task_id"]) for row in rows} - REPEATED
    for row in rows:
        tests = row["test"] if name == "humaneval" else json.dumps(row["test_list"])
        problem = problems.get(str(row["task_id"])) or replace(next(iter(problems.values())), id="", gold=tests)
        yield task, problem, row[REFERENCE[name]]


def _grades(name: str, every: int, program: str | None = None) -> dict[str, Grade]:
    def grade(item: tuple[Task, Problem, str]) -> tuple[str, Grade]:
        task, problem, reference = item
        return problem.id, task.grade(problem, Answer(reference if program is None else program))

    with ThreadPoolExecutor(2) as pool:
        return dict(pool.map(grade, list(_rows(name))[::every]))


@pytest.mark.parametrize("name", ROWS)
def test_hand_made_rows(name: str, tmp_path: Path) -> None:
    row, path = ROWS[name], tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    task = built(name, hub=None, hub_splits={}, paths={"test": path})
    (problem,) = task.problems("test")
    assert problem.gold is not None
    prompt = task.format.asked(problem.question)
    shown = row["prompt"] if name == "humaneval" else row["test_list"][0]
    assert shown.strip() in prompt and "candidate" not in prompt and "depth(root)" not in prompt
    reference = row[REFERENCE[name]]
    whole = row["prompt"] + reference if name == "humaneval" else reference
    for program in {reference, whole}:
        assert task.grade(problem, Answer(program)) == Grade(Verdict.CORRECT, "tests")
    found = task.format.extract_answer(f"Here it is.\n```python\n{whole}\n```\nDone.")
    assert task.grade(problem, Answer(found)).verdict is Verdict.CORRECT
    for wrong in (None, "", "pass", "    return 0", "def longest(w): return ''\ndef depth(n): return 1"):
        assert task.grade(problem, Answer(wrong)).verdict is Verdict.WRONG, wrong


@pytest.mark.parametrize(("name", "every"), [("humaneval", 20), ("mbpp", 97)])
def test_some_references_pass(name: str, every: int) -> None:
    assert {grade.verdict for grade in _grades(name, every).values()} == {Verdict.CORRECT}


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_all_references_pass(name: str) -> None:
    grades = _grades(name, 1)
    assert len(grades) == SIZES[name]
    assert {key: grade for key, grade in grades.items() if grade.verdict is not Verdict.CORRECT} == {}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "every"), [("humaneval", 1), ("mbpp", 10)])
def test_programs_without_the_function_fail(name: str, every: int) -> None:
    assert {grade.verdict for grade in _grades(name, every, "x = 1").values()} == {Verdict.WRONG}


def test_the_record_of_humanevals_own_scorer_is_one_of_programs_that_pass_and_that_fail() -> None:
    record = json.loads(RECORD.read_text(encoding="utf-8"))["verdicts"]
    bits = "".join(record.values())
    assert len(record) == 164 and {verdicts[0] for verdicts in record.values()} == {"1"}
    assert len(bits) > 500 and bits.count("0") > 300


@pytest.mark.slow
def test_humaneval_is_graded_as_by_its_own_scorer() -> None:
    """Completion by completion, as recorded by `record_human_eval.py`."""
    path = file("humaneval.jsonl")
    task = built("humaneval", hub=None, hub_splits={}, paths={"test": path})
    problems = {problem.id: problem for problem in task.problems("test")}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    asked = [(row["task_id"], body) for row in rows for body in completions(row["canonical_solution"])]

    def graded(item: tuple[str, str]) -> str:
        return str(int(task.grade(problems[item[0]], Answer(item[1])).verdict is Verdict.CORRECT))

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(graded, asked))
    theirs = "".join(json.loads(RECORD.read_text(encoding="utf-8"))["verdicts"].values())
    assert [one for one, ours, said in zip(asked, found, theirs, strict=True) if ours != said] == []


@pytest.mark.slow
@pytest.mark.parametrize(("name", "every"), [("humaneval", 4), ("mbpp", 20)])
def test_references_pass_in_webassembly(name: str, every: int, monkeypatch: pytest.MonkeyPatch) -> None:
    need_webassembly()
    monkeypatch.setattr(tiers, "TIERS", (tiers.wasm,))
    assert {key: one for key, one in _grades(name, every).items() if one.verdict is not Verdict.CORRECT} == {}
