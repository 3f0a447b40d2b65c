"""Artifacts of other code or under other bars, through the command: told by `plan` and `why`, made again by `run
--fresh` only."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from launch.cli import main
from reasoning_train.process.plugins import VARIABLE
from tests.launch import plugin_stages

PLUGIN = '''
"""Two numbers."""
from typing import Annotated

from reasoning_train.api.stage import Context, Gate, StageConfig, stage
from reasoning_train.store.rows import write_rows


class TwoConfig(StageConfig):
    """Bars alone."""

    most: Annotated[int, Gate()] = 3
    least: Annotated[int, Gate()] = 1


@stage("t_two", version=1, outputs={"data": "t_rows"}, heavy=False)
def two(config: TwoConfig, ctx: Context) -> None:
    """Two rows."""
    write_rows(ctx.output("data"), "t_rows", [{"id": "p", "position": i, "value": i + 1.0, "ids": []} for i in (0, 1)])
'''
RECIPE = """\
name: two
stages:
  a: {uses: t_two}
  b: {uses: t_square, data: "${stages.a}"}
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a plug-in's stage, which may be edited between two commands."""
    path = tmp_path / "made_by_hand.py"
    path.write_text(PLUGIN, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv(VARIABLE, f"{plugin_stages.NAME},made_by_hand")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, sys.path)]))
    monkeypatch.setenv("REASONING_TRAIN_STORE", str(tmp_path / "store"))
    (tmp_path / "two.yaml").write_text(RECIPE, encoding="utf-8")
    return path


def edit(path: Path, old: str, new: str) -> None:
    before = path.stat().st_mtime_ns
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    os.utime(path, ns=(before + 10**9, before + 10**9))


def states(capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[str, list[str]]]:
    capsys.readouterr()
    assert main(["plan", "two.yaml", "--json"]) == 0
    nodes = json.loads(capsys.readouterr().out)["nodes"]
    return {node["name"]: (node["state"], node.get("other_code", [])) for node in nodes}


def test_another_bar_is_told_and_makes_nothing_again(
    plugin: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "two.yaml"]) == 0
    manifests = [json.loads(path.read_text()) for path in tmp_path.glob("store/artifacts/t_two-*/manifest.json")]
    assert [made["bars"] for made in manifests] == [{"most": 3, "least": 1}]
    capsys.readouterr()
    assert main(["plan", "two.yaml"]) == 0
    assert "published under" not in capsys.readouterr().out

    (tmp_path / "two.yaml").write_text(RECIPE.replace("t_two}", "t_two, least: 2}"), encoding="utf-8")
    assert main(["plan", "two.yaml"]) == 0
    assert "cached, published under least=1 (now 2)" in capsys.readouterr().out
    assert main(["why", "two.yaml", "a"]) == 0
    assert "published under least=1 (now 2); `run --fresh a` checks the new bar" in capsys.readouterr().out
    assert main(["run", "two.yaml"]) == 0
    assert "2 stages: 2 cached" in capsys.readouterr().out
    assert main(["run", "two.yaml", "--fresh", "a"]) == 0
    capsys.readouterr()
    assert main(["plan", "two.yaml"]) == 0
    assert "published under" not in capsys.readouterr().out


def test_other_code_is_told_and_makes_nothing_again_by_itself(
    plugin: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = {"a": ("cached", []), "b": ("cached", [])}
    assert main(["run", "two.yaml"]) == 0
    assert states(capsys) == sound
    edit(plugin, '"""Two rows."""', '"""A pair of rows."""  # no more')
    assert states(capsys) == sound

    edit(plugin, "i + 1.0", "1.0 + i")
    told = {"a": ("cached", ["made_by_hand.py"]), "b": ("cached", [])}
    assert states(capsys) == told
    assert main(["plan", "two.yaml"]) == 0
    assert "cached, made by other code" in capsys.readouterr().out
    assert main(["why", "two.yaml", "a"]) == 0
    said = capsys.readouterr().out
    assert "`run --fresh a` makes it again" in said and "\n    made_by_hand.py\n" in said
    assert main(["run", "two.yaml"]) == 0
    assert "2 stages: 2 cached" in capsys.readouterr().out and states(capsys) == told

    assert main(["run", "two.yaml", "--fresh", "a"]) == 0
    captured = capsys.readouterr()
    assert "a  its artifact was set aside in " in captured.err
    assert "2 stages: 1 ran, 1 cached" in captured.out  # the same bytes, so b is as good as before
    assert states(capsys) == sound and len(list((tmp_path / "store" / "quarantine").iterdir())) == 1

    edit(plugin, "1.0 + i", "2.0 + i")
    assert main(["run", "two.yaml", "--fresh", "a"]) == 0
    assert "2 stages: 2 ran" in capsys.readouterr().out  # other bytes
    assert states(capsys) == sound


def test_a_stage_that_there_is_not_is_refused(plugin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "two.yaml", "--fresh", "aa"]) == 2
    assert "--fresh: the recipe has no stage 'aa'. Did you mean 'a'?" in capsys.readouterr().err


def test_a_dry_run_sets_nothing_aside(plugin: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    cluster = Path(__file__).parents[2] / "configs" / "clusters" / "gpu.yaml"
    assert main(["submit", "two.yaml", "--cluster", str(cluster), "--dry-run", "--fresh", "a"]) == 2
    assert "--fresh sets artifacts aside, but --dry-run changes nothing" in capsys.readouterr().err
