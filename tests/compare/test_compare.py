"""How generations are compared with other tools' verdicts, and the verdicts that were recorded."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from data_gen.records.problem import Problem
from tests.benchmark_data import built
from tests.compare.__main__ import RECORDED, compared
from tests.compare.generations import COLUMNS, Generation

RIGHT = {"strict": 1.0, "flex": 1.0}
TOOL = """#!{python}
import json, sys
assert sys.argv[1:4] == ["-m", "tests.compare.sides", "lm_eval"]
rows = [json.loads(line) for line in open(sys.argv[4])]
verdicts = {{"strict": [int("####" in row["text"]) for row in rows], "flex": [1] * len(rows)}}
json.dump({{"version": "0", "verdicts": verdicts}}, open(sys.argv[5], "w"))
"""
"""Stands for the Python of an environment with lm-eval."""


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    path = tmp_path / "python"
    path.write_text(TOOL.format(python=sys.executable), encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def made(text: str, ours: dict[str, float]) -> Generation:
    return Generation(stage="gsm8k", policy="m", id=text, question="1 + 1?", gold="2", text=text, ours=ours)


def test_a_verdict_that_differs_is_counted_and_printed(tool: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [made("#### 2", RIGHT), made("So 2", RIGHT), made("2", {"strict": 0.0, "flex": 1.0})]
    differ, found = compared("gsm8k", rows, tool)
    assert differ == 1 and [row["theirs"] for row in found] == [
        {"strict": 1, "flex": 1},
        {"strict": 0, "flex": 1},
        {"strict": 0, "flex": 1},
    ]
    out = capsys.readouterr().out
    assert "gsm8k strict: 3 rows, ours 66.7 %, lm_eval 0 33.3 %, 1 differ\n" in out
    assert "  So 2: ours 1.0, lm_eval 0 0, gold '2', text ends 'So 2'\n" in out
    assert "gsm8k flex: 3 rows, ours 100.0 %, lm_eval 0 100.0 %, 0 differ\n" in out


def test_a_tool_that_fails_is_told_with_what_it_said(tool: Path) -> None:
    tool.write_text(f"#!{sys.executable}\nraise SystemExit('no module lm_eval')", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"lm_eval failed under .*python:\nno module lm_eval"):
        compared("gsm8k", [made("2", RIGHT)], tool)


@pytest.mark.parametrize("tool_name", COLUMNS)
def test_recorded_generations_of_a_model_get_each_tools_own_verdicts(tool_name: str) -> None:
    rows: list[dict[str, Any]] = [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]
    columns = COLUMNS[tool_name]
    mine = [row for row in rows if row["theirs"].keys() == set(columns)]
    assert len(mine) >= 40
    task = built("gsm8k", graders={"strict": "lm_eval_strict", "flex": "lm_eval_flex", "math_verify": "math_verify"})
    task = task.model_copy(update={"graders": {name: task.graders[name] for name in columns}})
    for row in mine:
        problem = Problem(id=row["id"], question="", gold=row["gold"], group="", split="test")
        assert task.grade_beside(problem, row["text"], cut=False) == row["theirs"], row["id"]
