"""How generations are compared with other tools' verdicts."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from tests.compare.__main__ import compared
from tests.compare.generations import Generation

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
