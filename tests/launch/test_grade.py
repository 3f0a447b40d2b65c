"""`grade`: generations of any tool, from the command line to the figures."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from launch.cli import main
from tests.launch.harness import ROOT
from tests.test_imports import HEAVY

ROWS: list[dict[str, Any]] = [
    {"gold": "2 + 2 = 4.\n#### 4", "out": {"text": "It is 2 + 2.\nAnswer: 4"}, "end": "stop"},
    {"gold": "#### 1,200", "out": {"text": "So 1200 in all.\n#### 1200"}, "end": "stop"},
    {"gold": "18", "out": {"text": "The answer is 18.00"}, "end": "stop"},
    {"gold": "7", "out": {"text": "Answer: 8, that is $7."}, "end": "stop"},
    {"gold": "7", "out": {"text": "Answer: 7"}, "end": "length"},
    {"gold": "7", "out": {"text": "I do not know."}, "end": "stop"},
    {"gold": "7", "out": {"text": None}, "end": None},
    {"gold": "Two lines\nwithout a mark", "out": {"text": "Answer: 4"}, "end": "stop"},
    {"gold": None, "out": {"text": "Answer: 4"}, "end": "stop"},
]
KNOWN = ["correct", "correct", "correct", "wrong", "wrong", "wrong", "wrong", "unverifiable", "unverifiable"]
STRICT = [0, 1, 0, 0, 0, 0, 0, None, None]
FLEX = [1, 1, 0, 1, 1, 0, 0, None, None]
"""By hand, from the patterns of lm-evaluation-harness. The cut row is read."""


def write(file: Path, rows: list[dict[str, Any]]) -> Path:
    if file.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), file)
        return file
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    file.write_bytes(gzip.compress(data) if file.suffix == ".gz" else data)
    return file


def grade(file: Path, *more: str, task: str = "gsm8k") -> int:
    return main(["grade", str(file), "--task", task, "--prediction", "out.text", "--gold", "gold", *more])


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.parquet"])
def test_one_object_a_row(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # outside a checkout
    file = write(tmp_path / name, ROWS)
    assert grade(file, "--finish", "end", "--json") == 0
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["verdict"] for row in rows] == KNOWN
    assert [row.get("strict") for row in rows] == STRICT
    assert [row.get("flex") for row in rows] == FLEX
    assert [row["cut"] for row in rows] == [i == 4 for i in range(9)]
    assert [row["gold"] for row in rows] == ["4", "1,200", "18", "7", "7", "7", "7", None, None]
    assert [row["answer"] for row in rows] == ["4", "1200", "18.00", "8, that is $7", None, None, None, "4", "4"]
    assert [row["reason"] for row in rows][4:] == ["no_answer"] * 3 + ["no_gold"] * 2
    assert rows[1]["row"].startswith(f"{file}:2" if name != "a.parquet" else f"{file}, row 1")
    assert "correct 3, wrong 4, unverifiable 2, no answer 3, cut 1" in err


def test_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Wilson's interval of 30 of 40: [59.8, 85.8]."""
    file = write(tmp_path / "a.jsonl", [{"gold": "4", "out": {"text": f"Answer: {4 + i // 30}"}} for i in range(40)])
    assert grade(file) == 0
    out = capsys.readouterr().out
    assert "40 rows; grader auto, answers by mark, boxed, last_number" in out
    assert "accuracy  75.0 [59.8, 85.8]  40" in out and "strict    0.0 [0.0, 8.8]" in out
    assert "correct 30, wrong 10, unverifiable 0, no answer 0, cut not known (--finish)" in out


def test_nothing_right_or_verifiable_is_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert grade(write(tmp_path / "a.jsonl", [{"gold": "4", "out": {"text": "5"}}])) == 0
    assert "accuracy  0.0 [0.0, 79.3]" in capsys.readouterr().out
    assert grade(write(tmp_path / "a.jsonl", [{"gold": "", "out": {"text": "5"}}])) == 0
    out = capsys.readouterr().out
    assert (
        "accuracy" not in out and f"{tmp_path}/a.jsonl:1 (no_gold); task.answer_after: gold is the text behind" in out
    )


@pytest.mark.parametrize(
    ("more", "verdicts"),
    [
        (["--grader", "lm_eval_strict"], "wrong correct wrong wrong wrong wrong wrong unverifiable unverifiable"),
        (["--grader", "lm_eval_flex", "--finish", "end"], "correct correct wrong correct correct wrong wrong"),
        (["--grader", "{uses: lm_eval_strict, task: gsm8k_cot}"], "wrong wrong correct"),
        (["--grader", "exact", "--extract", "last_number"], "correct wrong wrong correct correct wrong wrong"),
        (["--extract", "boxed", "--extract", r"{uses: regex, pattern: 'is ([\d.]+)$'}"], "wrong wrong correct wrong"),
        (["--set", "task.answer_after=null"], "wrong correct correct"),
    ],
)
def test_another_grader_and_another_way_to_find_answers(
    more: list[str], verdicts: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [dict(row) for row in ROWS]
    if "gsm8k_cot" in str(more):
        rows[2] = {"gold": "18", "out": {"text": "The answer is 18, of course."}}
    assert grade(write(tmp_path / "a.jsonl", rows), *more, "--json") == 0
    found = [json.loads(line)["verdict"] for line in capsys.readouterr().out.splitlines()]
    wanted = verdicts.split()
    assert found[: len(wanted)] == wanted


@pytest.mark.parametrize(("end", "cut"), [(True, True), ("True", True), (False, False), ("MAX_TOKENS", True)])
def test_what_says_that_a_limit_cut(end: Any, cut: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "a.jsonl", [{"gold": "4", "out": {"text": "Answer: 4"}, "end": end}])
    assert grade(file, "--finish", "end", "--json") == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["cut"], row["verdict"]) == (cut, "wrong" if cut else "correct")


def test_options_of_the_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row may bring its options; without them a letter is a letter."""
    options = {"options": ["A)1", "B)2", "C)3", "D)4", "E)5"]}
    rows = [
        {"gold": "B", "out": {"text": "Answer: 2"}, **options},
        {"gold": "B", "out": {"text": "Answer: (b)"}, **options},
    ]
    verdicts = []
    for kept in (rows, [{k: v for k, v in row.items() if k != "options"} for row in rows]):
        assert grade(write(tmp_path / "a.jsonl", kept), "--json", task="aqua") == 0
        verdicts.append([json.loads(line)["verdict"] for line in capsys.readouterr().out.splitlines()])
    assert verdicts == [["correct", "correct"], ["wrong", "correct"]]


def test_a_task_of_ones_own_and_its_column_of_gold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.yaml").write_text(
        "task:\n  uses: jsonl\n  path: null\n  grader: {uses: numeric, tolerance: 0.5}\n  fields: {answer: target}\n"
        "  split: {test: null}\n  format: {answer_mark: 'Solution: '}\n"
    )
    file = write(tmp_path / "a.jsonl", [{"target": 4.0, "said": "Solution: 4.4"}, {"target": 4, "said": 5}])
    assert main(["grade", str(file), "--task", str(tmp_path / "mine.yaml"), "--prediction", "said", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["verdict"], row["reason"]) for row in rows] == [("correct", "integer"), ("wrong", "no_answer")]


@pytest.mark.parametrize(
    ("lines", "more", "message"),
    [
        (['{"gold": "1"}'], [], "--prediction: no column 'out.text' at FILE:1. Known: gold."),
        (['{"out": {"text": "1"}}'], [], "--gold: no column 'gold' at FILE:1."),
        (['{"gold": "1", "out": {"text": "1"}}'], ["--finish", "end"], "--finish: no column 'end' at FILE:1."),
        (
            ['{"gold": "1", "out": {"text": "1"}}', '{"gold": "1"}'],
            [],
            "FILE:2: column 'out.text' (--prediction): the row lacks it.",
        ),
        (
            ['{"gold": "1", "out": {"text": ["1", "2"]}}'],
            [],
            "or name another column, such as `out.text.0`.",
        ),
        (['{"gold": {"a": 1}, "out": {"text": "1"}}'], [], "FILE:1: column 'gold' (task.fields.answer): expected text"),
        (['{"gold": "1", "out": {"text": "1"}}', "", "{"], [], "FILE:3: not JSON"),
        ([], [], "FILE has no rows."),
        (
            ['{"gold": "1", "out": {"text": "1"}}'],
            ["--grader", "exat"],
            "--grader: task.grader.uses: 'exat' is not known",
        ),
        (
            ['{"gold": "1", "out": {"text": "1"}}'],
            ["--grader", "{uses: lm_eval_strict, task: svamp}"],
            "--grader: task.grader.task: expected 'gsm8k' or 'gsm8k_cot', got 'svamp'.",
        ),
        (['{"gold": "1", "out": {"text": "1"}}'], ["--extract", "box"], "--extract: task.format.extract.0.uses: 'box'"),
        (['{"gold": "1", "out": {"text": "1"}}'], ["--set", "task.gradr=exact"], "Did you mean 'grader'?"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(
    lines: list[str], more: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text("\n".join(lines))
    assert grade(file, *more) == 2
    assert message.replace("FILE", str(file)) in capsys.readouterr().err


def test_files_and_tasks_that_are_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "a.jsonl", ROWS)
    assert grade(tmp_path / "b.jsonl") == grade(tmp_path) == grade(file, task="gsm8") == 2
    err = capsys.readouterr().err
    assert err.count("FILE: there is no file") == 2 and "Did you mean 'gsm8k'?" in err
    (tmp_path / "recipe.yaml").write_text("name: x\nstages: {}\n")
    assert grade(file, task=str(tmp_path / "recipe.yaml")) == 2
    assert "task: expected a task, such as" in capsys.readouterr().err
    (tmp_path / "none.yaml").write_text(
        "task: {uses: jsonl, path: null, fields: {answer: null}, split: {test: null}}\n"
    )
    assert main(["grade", str(file), "--task", str(tmp_path / "none.yaml"), "--prediction", "out.text"]) == 2
    assert "--gold: the task names no column of gold" in capsys.readouterr().err


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", ROWS)
    command = ["grade", str(file), "--task", "gsm8k", "--prediction", "out.text", "--gold", "gold"]
    code = f"import sys; from launch.cli import main; main({command!r}); print(*sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.endswith("\n\n"), done.stdout
