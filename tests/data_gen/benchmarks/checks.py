"""What every shipped task of a benchmark must do, on rows made by hand and on the real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from data_gen.grading.choices import LETTERS, Options
from data_gen.records.problem import Problem
from data_gen.records.verdict import Answer, Verdict
from data_gen.tasks import Task
from tests.benchmark_data import built, write_rows
from tests.benchmark_data import file as real
from tests.reasoning_train.recipe.kitchen import load

NEVER_RIGHT = ("no idea", "-987654321.5", "(Z)", "", None)


@dataclass(frozen=True)
class Benchmark:
    """A shipped task, one row of its source's shape, and what its real file holds."""

    name: str
    row: Callable[[int], dict[str, Any]]
    """The i-th of some hand-made rows."""
    file: str = ""
    """The real file; empty if there is none to test with."""
    problems: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Rows of the real file that are no problems of their own, by reason."""
    tags: frozenset[str] = frozenset()
    """Tags of every problem."""
    without_gold: frozenset[str] = frozenset()
    """Ids of the real problems whose source gives no answer."""

    def __str__(self) -> str:
        return self.name


def check_hand_made_rows(benchmark: Benchmark, folder: Path) -> None:
    """The task reads rows of its source's shape, and a recipe whose `task.path` they are loads."""
    file = folder / "rows.jsonl"
    sizes = built(benchmark.name, path=file).splits()
    write_rows(file, map(benchmark.row, range(sum(size or 3 for size in sizes.values()))))
    task = built(benchmark.name, path=file)
    for split, size in sizes.items():
        problems = list(task.problems(split))
        assert len(problems) == (size or 3)
        for problem in problems:
            _check(task, problem, benchmark)
    recipe = f"""
        name: benchmark
        include: [configs/models/tiny.yaml, configs/tasks/{benchmark.name}.yaml]
        stages:
          test: {{uses: part, problems: "${{task.test}}", part: 1, of: 1}}
    """
    assert "test" in load(folder, recipe, f"task.path={file}").nodes


def check_real_rows(benchmark: Benchmark) -> None:
    """All rows of the real file load, and gold is the right answer to every one that has it."""
    task = built(benchmark.name, path=real(benchmark.file), split={"test": None})
    problems = list(task.problems("test"))
    assert (len(problems), dict(task.left_out("test"))) == (benchmark.problems, benchmark.left_out)
    assert len({p.id for p in problems}) == len({p.question for p in problems}) == len(problems)
    assert {p.id for p in problems if p.gold is None} == benchmark.without_gold
    for problem in problems:
        if problem.gold is not None:
            _check(task, problem, benchmark)


def row_tests(sets: Sequence[Benchmark]) -> tuple[Callable[..., None], Callable[..., None]]:
    """The two tests of a family's module: on rows made by hand, and on the real ones."""
    each = pytest.mark.parametrize("benchmark", sets, ids=str)

    def test_hand_made_rows(benchmark: Benchmark, tmp_path: Path) -> None:
        check_hand_made_rows(benchmark, tmp_path)

    def test_real_rows(benchmark: Benchmark) -> None:
        check_real_rows(benchmark)

    return each(test_hand_made_rows), each(test_real_rows)


def _check(task: Task, problem: Problem, benchmark: Benchmark) -> None:
    """Gold is right, alone and as a completion gives it; answers that say nothing of the problem are wrong."""
    assert problem.gold is not None
    assert task.grade(problem, Answer(problem.gold)).verdict is Verdict.CORRECT, problem
    assert benchmark.tags <= problem.tags.keys(), problem
    prompt = task.format.asked(problem.question)
    assert problem.question in prompt and "{question}" not in prompt
    boxed = "\\boxed{}" in prompt
    said = f"So it is.\n\\boxed{{{problem.gold}}}" if boxed else f"So it is.\nAnswer: {problem.gold}"
    assert task.grade(problem, Answer(task.format.extract_answer(said))).verdict is Verdict.CORRECT, problem
    for answer in NEVER_RIGHT:
        assert task.grade(problem, Answer(answer)).verdict is Verdict.WRONG, (problem, answer)
    options = Options(LETTERS[: len(problem.choices)], problem.choices)
    for letter in options.labels if problem.choices else ():
        right = task.grade(problem, Answer(letter)).verdict is Verdict.CORRECT
        assert right == (options.picked(letter) == options.picked(problem.gold)), (problem, letter)
