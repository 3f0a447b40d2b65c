"""`import_steps` through the worker: which rows come in, with which labels, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data_gen.records.segment import Kind
from data_gen.records.solution import Solution
from data_gen.records.verdict import Verdict
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import STAGES, GateError
from reasoning_train.evaluation.report.grown import labels_view
from reasoning_train.stages.import_steps import ImportStepsConfig
from reasoning_train.store.store import Artifact
from tests.reasoning_train.bench import Bench, problem, rows_of
from tests.reasoning_train.stages.chain_faults import write

FORM = {"uses": "listed", "question": "problem", "first_wrong": "label", "answer": "answer"}
ROWS = [
    {"problem": "two plus two?", "steps": ["2 + 2 = 5"], "label": 0, "answer": "5", "by": "m1"},
    {"problem": "Nobody asks this?", "steps": ["so"], "label": -1, "answer": None, "by": "m1"},
    {"problem": "Ana has 12 coins. How many?", "steps": ["It is\n12", " "], "label": None, "answer": "12", "by": "m2"},
    {"problem": "Two  plus TWO?", "steps": ["2 + 2 = 4"], "label": -1, "answer": "4", "by": "m2"},
    {"problem": "two plus two?", "steps": [], "label": None, "answer": "4", "by": "m3"},
]


def imported(bench: Bench, tmp_path: Path, rows: list[dict[str, Any]] | None = None, **form: Any) -> Artifact:
    asked = [("Ana has 12 coins. How many?", "12"), ("Unasked?", "1"), ("Two plus two?", "4")]
    made = [problem(f"p{i}", q, gold, tags={"level": str(i)}) for i, (q, gold) in enumerate(asked)]
    bench.problems("questions", made)
    path = write(tmp_path / "labelled.jsonl", ROWS if rows is None else rows)
    return bench.make(
        "marked", "import_steps", problems=Ref("questions"), path=str(path), form={**FORM, "tags": {"by": "by"}, **form}
    )


def test_rows_come_in_with_their_labels(bench: Bench, tmp_path: Path) -> None:
    """In the order of the problems; a solution without an error is one like any other; white space inside a step does
    not end it."""
    made = imported(bench, tmp_path)
    rows = [Solution.from_row(row) for row in rows_of(made)]
    assert [(row.problem_id, row.sample, row.steps, row.step_labels) for row in rows] == [
        ("p0", 0, ("It is 12", ""), (True, True)),
        ("p2", 0, ("2 + 2 = 5",), (False,)),
        ("p2", 1, ("2 + 2 = 4",), (True,)),
    ]
    assert [row.verdict for row in rows] == [Verdict.CORRECT, Verdict.WRONG, Verdict.CORRECT]
    assert [row.tags for row in rows] == [
        {"level": "0", "by": "m2"},
        {"level": "2", "by": "m1"},
        {"level": "2", "by": "m2"},
    ]
    assert rows[0].text == "It is 12\n\nAnswer: 12" and rows[0].segments[-1].kind is Kind.ANSWER
    assert all(not row.token_ids and row.finish == "gold" for row in rows)
    assert made.manifest["counts"] == {"in": 5, "out": 3, "dropped.other_problem": 1, "dropped.no_steps": 1}
    labels = made.manifest["metrics"]["labels"]
    assert labels == {"title": "first wrong steps", "bars": [["step 1", 1], ["no error", 2]]}


def test_the_report_draws_where_the_first_errors_are(bench: Bench, tmp_path: Path) -> None:
    rows = [
        {"problem": "Unasked?", "steps": ["a"] * 30, "label": at, "answer": None, "by": "m"} for at in (2, 2, 25, -1)
    ]
    made = imported(bench, tmp_path, [*rows, {**rows[0], "label": 0}])
    counts = dict(made.manifest["metrics"]["labels"]["bars"])
    assert list(counts) == [*(f"step {i}" for i in range(1, 21)), "later", "no error"]
    assert {name: n for name, n in counts.items() if n} == {"step 1": 1, "step 3": 2, "later": 1, "no error": 1}
    title, drawn = labels_view(made.manifest) or ("", "")
    assert title == "first wrong steps" and "<svg" in drawn and "step 3" in drawn


def test_a_solution_without_an_answer_is_not_graded(bench: Bench, tmp_path: Path) -> None:
    made = imported(bench, tmp_path, answer=None)
    assert {(row["verdict"], row["reason"], row["answer"]) for row in rows_of(made)} == {
        ("unverifiable", "no_answer", None)
    }


def test_rows_may_name_problems_by_id(bench: Bench, tmp_path: Path) -> None:
    rows = [{**ROWS[0], "key": "p2"}, {**ROWS[1], "key": "p1"}]
    made = imported(bench, tmp_path, rows, id="key", question="nowhere")
    assert [row["problem_id"] for row in rows_of(made)] == ["p1", "p2"]


def test_a_file_about_other_problems_is_refused(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(
        GateError, match="import_steps: 0 solutions, fewer than min_rows=1: .* has 1 labelled solutions"
    ):
        imported(bench, tmp_path, ROWS[1:2])


def test_the_file_is_looked_at_when_a_recipe_loads(tmp_path: Path) -> None:
    """A row of another form is told with its line; a missing file is another check's matter."""
    path = tmp_path / "labelled.jsonl"
    config = ImportStepsConfig(problems=Ref("p"), path=path, form=FORM)
    check: Any = STAGES.get("import_steps").checker
    assert list(check(config, None)) == []
    write(path, [ROWS[0], {**ROWS[0], "label": 9}])
    [(field, said)] = check(config, None)
    assert field == "form" and said.startswith(f"{path}:2: column 'label' (form.first_wrong): expected a step from 0")
    path.write_text(json.dumps({"problem": "q"}) + "\n")
    assert [said for _, said in check(config, None)] == [f"{path}:1: no column 'steps' (form.steps). Known: problem."]
