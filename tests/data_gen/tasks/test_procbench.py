"""ProcBench: states compared one by one, by hand and on the published rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data_gen.records.problem import Problem
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from data_gen.records.verdict import Answer, Verdict
from data_gen.tasks import Task
from tests.benchmark_data import built, file, write_rows

ROWS: list[dict[str, Any]] = [
    {"init": "cz", "intermediate": ["z", ""], "final": "v"},
    {"init": [0, 0], "intermediate": [[0, 1], [1, 1]], "final": [1, 2]},
    {"init": 4, "intermediate": [8], "final": 15},
]


@pytest.fixture
def task(tmp_path: Path) -> Task:
    made = [
        {"prompt": f"Follow {i}.", "label": label, "task_name": f"task{i}", "problem_name": f"task{i}_0000"}
        for i, label in enumerate(ROWS)
    ]
    return built("procbench", path=write_rows(tmp_path / "rows.jsonl", made))


def solution(task: Task, problem: Problem, text: str) -> Solution:
    return Solution(
        problem_id=problem.id,
        sample=0,
        prompt="",
        segments=(Segment(kind=Kind.STEP, text=text, token_ids=(1,)),),
        answer=task.format.extract_answer(text),
        verdict=Verdict.WRONG,
        finish="stop",
    )


def measured(task: Task, problem: Problem, text: str) -> tuple[Any, ...]:
    """Verdict, PML, PA, SM and FM of a completion."""
    said = solution(task, problem, text)
    columns, answer = task.measure(problem, said), said.answer
    names = ("prefix_length", "prefix_accuracy", "sequential_match", "final_match")
    return task.grade(problem, Answer(answer)).verdict is Verdict.CORRECT, *(columns[name] for name in names)


@pytest.mark.parametrize(
    ("row", "text", "expected"),
    [
        (0, 'So {"intermediate": ["z", ""], "final": "v"}', (True, 3, 1, 1, 1)),
        (0, '{"intermediate": ["z"], "final": "v"}', (False, 1, 1 / 3, 0, 1)),
        (0, '{"intermediate": ["z", "", "v"], "final": "v"}', (False, 3, 3 / 4, 0, 1)),
        (0, '{"intermediate": ["z", "x"], "final": "vz"}', (False, 1, 1 / 3, 0, 0)),
        (0, '{"intermediate": ["z", ""]}', (False, 0, 0, 0, 0)),
        (0, "It is v.", (False, 0, 0, 0, 0)),
        (1, '{"intermediate": [[0, 1], [1, 1]], "final": [1, 2]}', (True, 3, 1, 1, 1)),
        # The final list is one state: its elements are no states of their own.
        (1, '{"intermediate": [[0, 1], [1, 1]], "final": [2, 1]}', (False, 2, 2 / 3, 0, 0)),
        (1, '{"intermediate": [[0, 1], [1, 1], 1], "final": 2}', (False, 2, 1 / 2, 0, 0)),
        (1, '{"intermediate": [[0, 1]], "final": [[1, 2]]}', (False, 1, 1 / 3, 0, 0)),
        (2, '{"intermediate": [8], "final": 15}', (True, 2, 1, 1, 1)),
        (2, '{"intermediate": 8, "final": 51}', (False, 1, 1 / 2, 0, 0)),
    ],
)
def test_states_by_hand(task: Task, row: int, text: str, expected: tuple[Any, ...]) -> None:
    problem = list(task.problems("test"))[row]
    assert measured(task, problem, text) == pytest.approx(expected)
    assert problem.tags == {"task": f"task{row}", "intermediates": str(len(ROWS[row]["intermediate"]))}


def test_states_tried_by_hand(task: Task) -> None:
    problem = next(iter(task.problems("test")))
    names = ("states_right", "states_tried", "states")
    for text, expected in (
        ('{"intermediate": ["z", ""], "final": "v"}', (3, 3, 3)),
        ('{"intermediate": ["z", "x"], "final": "v"}', (1, 2, 3)),
        ("It is v.", (0, 1, 3)),
    ):
        columns = task.measure(problem, solution(task, problem, text))
        assert tuple(columns[name] for name in names) == expected


def anagram(state: Any) -> Any:
    """The characters of a text in another order; None if there is none."""
    return next((text for text in (state[1:] + state[:1], state[::-1]) if text != state), None)


@pytest.mark.parametrize(
    ("name", "tasks", "rows"), [("procbench_tasks01_11.jsonl", 11, 1320), ("procbench_tasks12_23.jsonl", 9, 1080)]
)
def test_gold_is_right_in_every_published_row_and_an_anagram_is_not(name: str, tasks: int, rows: int) -> None:
    task = built("procbench", path=file(name))
    problems = list(task.problems("test"))
    assert len({p.tags["task"] for p in problems}) == tasks
    assert len(problems) == len({p.id for p in problems}) == rows
    for problem in problems:
        gold = json.loads(problem.gold or "")
        n = len(gold["intermediate"]) + 1
        assert measured(task, problem, problem.gold or "") == (True, n, 1, 1, 1)
        if isinstance(gold["final"], str) and (other := anagram(gold["final"])) is not None:
            said = json.dumps({**gold, "final": other})
            assert measured(task, problem, said) == pytest.approx((False, n - 1, (n - 1) / n, 0, 0))
        said = json.dumps({"intermediate": gold["intermediate"][:-1], "final": gold["final"]})
        assert measured(task, problem, said)[0] is False
