"""The command, from the command line to its output, on a small recipe of test stages."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from launch.cli import main
from launch.commands.fetch import HubEntry, find_entries
from launch.commands.plan import gpu_hours_line
from reasoning_train.process.plugins import VARIABLE
from tests.launch import plugin_stages
from tests.launch.harness import ROOT

RECIPE = """\
# Two stages and a table.
name: small
seed: 3
stages:
  a: {uses: t_numbers, n: 6}
  b: {uses: t_square, data: "${stages.a}"}
  t: {uses: t_table, data: "${stages.b}"}
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(VARIABLE, plugin_stages.NAME)
    monkeypatch.setenv("REASONING_TRAIN_STORE", str(tmp_path / "store"))
    path = tmp_path / "small.yaml"
    path.write_text(RECIPE)
    return str(path)


def plan_states(recipe: str, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, str]:
    capsys.readouterr()
    assert main(["plan", recipe, "--json", *more]) == 0
    return {node["name"]: node["state"] for node in json.loads(capsys.readouterr().out)["nodes"]}


def test_a_recipe_from_plan_to_gc(recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan_states(recipe, capsys) == {"a": "will run", "b": "will run", "t": "will run"}
    assert main(["run", recipe]) == 0
    out = capsys.readouterr().out
    assert "3 stages: 3 ran" in out
    assert (tmp_path / "store" / "runs" / "small" / "latest" / "report.html").is_file()
    assert plan_states(recipe, capsys) == {"a": "cached", "b": "cached", "t": "cached"}
    assert plan_states(recipe, capsys, "--set", "stages.b.note=x") == {"a": "cached", "b": "will run", "t": "will run"}

    assert main(["why", recipe, "b", "--set", "stages.b.note=x"]) == 0
    assert "note" in capsys.readouterr().out
    assert main(["run", recipe, "--set", "stages.b.note=x"]) == 0
    assert main(["status", "small"]) == 0
    assert "small: done" in capsys.readouterr().out

    assert main(["gc"]) == 0
    assert "nothing to remove" in capsys.readouterr().out
    assert main(["gc", "--keep", "1"]) == 0
    assert "nothing was removed" in capsys.readouterr().out
    assert len(list((tmp_path / "store" / "artifacts").iterdir())) == 5
    assert main(["gc", "--keep", "1", "--yes"]) == 0
    assert len(list((tmp_path / "store" / "artifacts").iterdir())) == 3
    assert plan_states(recipe, capsys, "--set", "stages.b.note=x") == {"a": "cached", "b": "cached", "t": "cached"}
    assert plan_states(recipe, capsys)["b"] == "will run"


def test_partial_progress_is_shown(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    worker = [sys.executable, "-m", "reasoning_train.stage", recipe, "a", "--shard", "1/2"]
    done = subprocess.run(worker, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert main(["plan", recipe]) == 0
    assert "partial (3 records)" in capsys.readouterr().out
    done = subprocess.run(worker[:-2], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert plan_states(recipe, capsys)["a"] == "cached"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "absent.yaml"], "absent.yaml"),
        (["why", "{recipe}", "bb"], "the recipe has no stage 'bb'. Did you mean 'b'?"),
        (["plan", "{recipe}", "--set", "stages.b.nota=1"], "note"),
        (["report", "nobody"], "there is no run of 'nobody'"),
        (["report", "/no/such/run"], "there is no run of '/no/such/run'"),
        (["cancel", "nobody"], "'nobody' has no submitted run in "),
        (["logs", "b", "--run", "nobody"], "--run: there is no run of 'nobody'"),
    ],
)
def test_mistakes_get_one_message(
    arguments: list[str], said: str, recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([argument.format(recipe=recipe) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert said in captured.err


@pytest.mark.parametrize(
    "name",
    ['"two\\nlines"', '"nul\\0"', '"\\e]0;title\\a"', "x" * 81, "a/b", "../up", '"a b"', '"$(touch here)"'],
)
def test_a_name_is_letters_digits_and_dashes(name: str, recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Names become folders, jobs and lines of scripts."""
    path = Path(recipe)
    for text in (RECIPE.replace("name: small", f"name: {name}"), RECIPE.replace("  a:", f"  {name}:")):
        path.write_text(text)
        assert main(["plan", recipe]) == 2
        said = capsys.readouterr().err
        assert "expected a name of at most 80 letters" in said and "\x1b" not in said and "\0" not in said


def test_files_of_the_current_folder_are_not_imported(recipe: str, tmp_path: Path) -> None:
    """A `json.py` or `torch.py` that lies where the command is called is data."""
    for name in ("json", "torch", "launch", "multiprocessing"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')\n")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "launch.cli", "run", recipe, "--cores", "1"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (tmp_path / "imported").exists()


def test_names_in_tables_are_neither_markup_nor_commands(
    recipe: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = {"columns": ["policy", "[/b]"], "rows": [["tuned[/red]", "\x1b[31m1"]], "title": "[/i]"}
    monkeypatch.setattr("launch.execute.tables", lambda plan, store: iter([("t[beta=0.1]", table)]))
    assert main(["run", recipe, "--cores", "1"]) == 0
    said = capsys.readouterr().out
    assert all(text in said for text in ("tuned[/red]", r"\x1b[31m1", "t[beta=0.1]: [/i]", "[/b]"))


def test_logs_show_what_would_command_a_terminal(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", recipe, "--cores", "1"]) == 0
    [log] = tmp_path.glob("store/runs/small/latest/logs/a.log")
    with log.open("a") as stream:
        stream.write("10 %\r20 %\r\n\x1b]0;title\x07last\n")
    capsys.readouterr()
    assert main(["logs", "a", "-n", "3"]) == 0
    assert capsys.readouterr().out.splitlines() == ["10 %", "20 %", r"\x1b]0;title\x07last"]


@pytest.mark.parametrize("command", [["run", "{recipe}", "--store", "{file}"], ["report", "--into", "{file}.gone"]])
def test_folders_and_files_that_cannot_be_written(
    command: list[str], recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", recipe]) == 0
    file = tmp_path / "file"
    file.write_text("")
    assert main([word.format(recipe=recipe, file=file) for word in command]) == 2
    said = capsys.readouterr().err
    assert ("cannot write in" if command[0] == "run" else "the file does not exist, so no figures") in said
    assert str(file) in said


def test_resolved_values_with_their_origins(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", recipe, "--resolved", "--set", "stages.a.n=7"]) == 0
    lines = {line.split(" = ")[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines["stages.a.n"].split() == ["stages.a.n", "=", "7", "#", "--set"]
    assert lines["seed"].endswith("small.yaml:3")
    assert main(["plan", recipe, "--resolved", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["resolved"]["stages"]["a"] == {"uses": "t_numbers", "n": 6}
    assert shown["origins"]["stages.b.data"].endswith("small.yaml:6")


def test_programs_read_why_and_gc(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    for note in ("x", "y"):
        assert main(["run", recipe, "--set", f"stages.b.note={note}"]) == 0
    capsys.readouterr()
    assert main(["why", recipe, "b", "--set", "stages.b.note=z", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["name"], found["state"], found["reasons"]) == ("b", "will run", ["`note`: 'y' -> 'z'"])
    assert main(["why", recipe, "a", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["reasons"] == []
    for removed in (False, True):
        assert main(["gc", "--keep", "1", "--json", *(["--yes"] if removed else [])]) == 0
        listed = json.loads(capsys.readouterr().out)
        assert len(listed) == 3  # a run, its `b` and its `t`
        assert all(
            one["removed"] == removed and one["bytes"] > 0 and Path(one["path"]).exists() != removed for one in listed
        )


def test_a_limit_bounds_what_an_unread_dataset_costs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    gsm8k = ["plan", "recipes/rejection_sampling/gsm8k.yaml", "--store", "no-such-store"]
    assert main(gsm8k) == 0  # 8 problems x 8 samples, then 8 problems under 2 policies, 200 tokens each
    assert "at most 16,000 generated tokens in 80 calls\n" in capsys.readouterr().out
    assert main([*gsm8k, "--set", "stages.eval.limit=null"]) == 0
    out = capsys.readouterr().out
    assert "at most 12,800 generated tokens in 64 calls, and what eval will need, which is not known yet" in out
    assert re.search(r"^eval +evaluate +will run +\? +\? ", out, re.MULTILINE)


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "first steps:" in capsys.readouterr().out


def test_a_system_without_fork_is_told_what_to_use(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "fork")
    assert plan_states(recipe, capsys) == {"a": "will run", "b": "will run", "t": "will run"}
    assert main(["run", recipe]) == 2
    said = capsys.readouterr().err
    assert "Python has no os.fork here. Use Linux, macOS or, on Windows, WSL" in said
    assert not (tmp_path / "store" / "runs").exists()


def test_the_report_of_a_store_that_cannot_be_written_goes_elsewhere(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modes stop nobody who is root, so a folder stands where the page would be. Reports of moved stores are the same
    by the name of their recipe."""
    assert main(["run", recipe]) == 0
    (tmp_path / "store").rename(tmp_path / "moved")
    [run] = (path.parent for path in (tmp_path / "moved" / "runs" / "small").glob("2*/run.json"))
    page = (run / "report.html").read_text()
    (run / "report.html").unlink()
    (run / "report.html").mkdir()
    (run / "report.html" / "full").touch()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    capsys.readouterr()
    assert main(["report", "small", "--store", str(tmp_path / "moved")]) == 0
    said, [written] = capsys.readouterr(), (tmp_path / "here").iterdir()
    assert said.out == f"{written}\n" and written.name == f"small-{run.name}.html"
    assert said.err.startswith(f"{run} cannot be written (IsADirectoryError")
    assert written.read_text() == page
    monkeypatch.chdir(tmp_path)
    (tmp_path / written.name).mkdir()
    assert main(["report", "small", "--store", str(tmp_path / "moved")]) == 2
    assert f"{tmp_path / written.name}: cannot be written either (" in capsys.readouterr().err


def test_a_misspelt_run_gets_the_nearest(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", recipe]) == 0
    assert main(["report", "smal"]) == 2
    assert "there is no run of 'smal' in " in (said := capsys.readouterr().err)
    assert said.endswith("Did you mean 'small'?\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "r.yaml", "--cores", "0"], "--cores: expected a whole number from 1, got '0'"),
        (["run", "r.yaml", "--cores", "two"], "--cores: expected a whole number from 1, got 'two'"),
        (["gc", "--keep", "-1"], "--keep: expected a whole number from 0, got '-1'"),
        (["rum", "r.yaml"], "invalid choice: 'rum' (choose from"),
    ],
)
def test_arguments_out_of_range(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert said in capsys.readouterr().err


def test_a_shard_that_is_none_is_explained(recipe: str) -> None:
    command = [sys.executable, "-m", "reasoning_train.stage", recipe, "a", "--shard", "2/2"]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "--shard: expected K/N with K from 0 to N-1, got '2/2'" in done.stderr


def test_an_unknown_plugin_is_named(
    recipe: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "no_such_module")
    assert main(["plan", recipe]) == 2
    assert f"{VARIABLE} names 'no_such_module'" in capsys.readouterr().err


def test_list_doctor_schema_and_help(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "stages", "--json"]) == 0
    stages = {row["stage"]: row for row in json.loads(capsys.readouterr().out)["stages"]}
    assert stages["t_numbers"]["unit"] == "problem"
    assert main(["list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    kinds = "tasks graders extractors measures searches scorers votes pair_rules target_rules step_forms transforms"
    more = "recipes configs benchmarks stages losses claims programs difficulties"
    assert found.keys() == {*more.split(), *kinds.split()}
    assert all(rows and all(row["about"] for row in rows) for rows in found.values())
    assert main(["doctor", "--json"]) == 0
    names = [finding["name"] for finding in json.loads(capsys.readouterr().out)]
    assert {"python", "torch", "memory", "store", "gpu", "slurm"} <= set(names)
    assert len({name.lower() for name in names}) == len(names)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extra, packages in project["optional-dependencies"].items():
        assert extra == "dev" or {re.split(r"[>=<\[]", package)[0] for package in packages} & set(names), extra
    assert main(["schema"]) == 0
    assert "t_square" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="0"):
        main(["run", "--help"])
    assert "--set seed=1" in capsys.readouterr().out


def test_list_shows_whole_sentences(recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    for section, rows in found.items():
        for row in rows:
            name, about = next(iter(row.values())), row["about"]
            own = not name.startswith("t_")  # stages of the tests join the registry
            assert not own or about.endswith((".", ").")), (section, name, about)
            assert "yaml-language-server" not in about and "\n" not in about


def test_list_reads_the_comment_at_the_top_of_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    comments = {
        "a": "# yaml-language-server: $schema=x\n# One sentence that\n# goes on. And more.\n# Not shown.\nname: a\n",
        "b": "name: b\n# Later.\n",
        "c": "",
    }
    for name, text in comments.items():
        (tmp_path / "recipes" / name).mkdir(parents=True)
        (tmp_path / "recipes" / name / "tiny.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main(["list", "recipes", "--json"]) == 0
    found = [row["about"] for row in json.loads(capsys.readouterr().out)["recipes"]]
    assert found == ["One sentence that goes on. And more.", "", ""]


TWICE = """\
name: twice
include: [configs/models/tiny.yaml, configs/tasks/chain.yaml]
stages:
  sample: {uses: sample, policy: "${model}", problems: "${task.explore}", n: 2, max_tokens: 10}
  again:  {like: sample}
"""


def test_plan_counts_what_stages_share_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """2,000 problems x 2 samples x 10 tokens: `again` asks for the same artifact as `sample`."""
    recipe = tmp_path / "twice.yaml"
    recipe.write_text(TWICE)
    cluster = str(ROOT / "configs/clusters/cpu.yaml")
    assert main(["plan", str(recipe), "--store", str(tmp_path / "store"), "--cluster", cluster]) == 0
    said = capsys.readouterr().out
    assert "4 stages (3 artifacts), 3 to run; at most 40,000 generated tokens in 4,000 calls\n" in said
    assert said.endswith("no stage asks for a GPU\n") and "GPU-hours for" not in said
    assert main(["plan", str(recipe), "--store", str(tmp_path / "store"), "--set", "stages.again.n=3"]) == 0
    assert "4 stages, 4 to run; at most 100,000 generated tokens in 10,000 calls\n" in capsys.readouterr().out


ASSUMED = "(operations to the token limits, at an assumed share of the GPU's peak)"


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        ([], "no stage asks for a GPU"),
        ([None, None], "GPU-hours are not known yet: they depend on data and models that are not here"),
        ([1.25, 0.5], f"about 1.8 GPU-hours for 2 stages {ASSUMED}"),
        ([1.25, None], f"about 1.2 GPU-hours for 1 stage {ASSUMED}; 1 more is not known yet"),
        ([0.5, None, None], f"about 0.5 GPU-hours for 1 stage {ASSUMED}; 2 more are not known yet"),
    ],
)
def test_gpu_hours_in_words(hours: list[float | None], said: str) -> None:
    assert gpu_hours_line(hours) == said


def test_doctor_verifies_bytes(recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", recipe]) == 0
    assert main(["doctor", "--verify"]) == 0
    part = next((tmp_path / "store" / "artifacts").glob("*/data/*.parquet"))
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    capsys.readouterr()
    assert main(["doctor", "--verify"]) == 1
    said = capsys.readouterr().out
    assert "has other bytes than when it was made" in said
    assert "-> rerun the recipe that uses it: it is set aside and made again" in said
    assert main(["run", recipe]) == 0
    assert "it was set aside in" in capsys.readouterr().out
    assert main(["doctor", "--verify"]) == 0


def test_fetch_finds_models_and_datasets(recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = {
        "model": {"hub": "me/model", "revision": "abc"},
        "task": {"uses": "jsonl", "hub": "me/data"},
        "tasks": {"local": {"uses": "jsonl", "hub": "me/more", "paths": {"test": "test.jsonl"}}},
        "stages": {"a": {"hub": 1}},
    }
    assert list(find_entries(document)) == [
        HubEntry("model", "me/model", "abc", "model"),
        HubEntry("task", "me/data", None, "dataset"),
    ]
    assert main(["fetch", recipe]) == 0
    assert "nothing to fetch" in capsys.readouterr().out
    assert main(["fetch", recipe, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {}


def test_fetch_of_what_is_no_name_on_the_hub(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "hub.yaml"
    path.write_text("name: hub\nmodel: {hub: ./folder}\nstages: {}\n")
    assert main(["fetch", str(path)]) == 2
    assert (
        "error: model.hub: expected a name on the Hub such as 'openai/gsm8k', got './folder'" in capsys.readouterr().err
    )


def test_fetch_finds_what_is_in_the_cache_without_network(tmp_path: Path) -> None:
    cache, commit = tmp_path / "hub" / "datasets--me--data", "0123456789" * 4
    (cache / "snapshots" / commit).mkdir(parents=True)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit)
    (cache / "snapshots" / commit / "test.jsonl").write_text('{"question": "1 + 1?", "answer": "2"}\n')
    path = tmp_path / "hub.yaml"
    path.write_text("name: hub\ntask: {hub: me/data}\nstages: {}\n")
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    environment.pop("HF_HUB_CACHE", None)
    command = [sys.executable, "-m", "launch.cli", "fetch", str(path), "--store", str(tmp_path / "store")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"--set task.revision={commit}    # me/data in {cache / 'snapshots' / commit}")
    assert json.loads((tmp_path / "store" / "fetched.json").read_text())["task"]["revision"] == commit


def test_fetch_without_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    path = tmp_path / "hub.yaml"
    path.write_text("name: hub\nmodel: {hub: nobody/nothing-of-this-name}\nstages: {}\n")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "launch.cli", "fetch", str(path), "--store", str(tmp_path / "store")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: model.hub: cannot fetch the model 'nobody/nothing-of-this-name'")
    assert "Without network" in done.stderr
