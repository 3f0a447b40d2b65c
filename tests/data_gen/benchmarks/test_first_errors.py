"""Benchmarks of first wrong steps: their problems, and their labelled solutions through the stage that imports them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from reasoning_train.api.refs import Ref
from reasoning_train.store.store import Artifact
from tests.benchmark_data import ROOT, built, file, write_rows
from tests.data_gen.benchmarks.checks import Benchmark, check_hand_made_rows, check_real_rows
from tests.reasoning_train.bench import Bench, rows_of
from tests.reasoning_train.recipe.kitchen import load


def prm800k(i: int) -> dict[str, Any]:
    """A step that was chosen, and one that is wrong."""
    steps = [
        {"completions": [{"text": f"{i} it is.", "rating": 1}], "human_completion": None, "chosen_completion": 0},
        {"completions": [{"text": "Or not.", "rating": -1}], "human_completion": None, "chosen_completion": None},
    ]
    asked = {"problem": f"What is {i}?", "ground_truth_answer": str(i)}
    return {"question": asked, "label": {"steps": steps, "finish_reason": "found_error"}}


def mistake(i: int) -> dict[str, Any]:
    return {
        "input": f"{i} + 0 =",
        "target": str(i),
        "answer": str(i),
        "steps": ["a", "b"],
        "mistake_index": i % 2 or None,
    }


def process(i: int) -> dict[str, Any]:
    return {"id": f"m-{i}", "problem": f"What is {i}?", "steps": ["a", "b"], "label": i % 2 or -1, "generator": "g"}


ROWS = {"bigbench_mistake": mistake, "processbench": process, "prm800k": prm800k}
MISTAKES = {
    # file: (problems, solutions without an error)
    "dyck_languages": (500, 170),
    "logical_deduction": (300, 6),
    "multistep_arithmetic": (300, 62),
    "tracking_shuffled_objects": (300, 40),
    "word_sorting": (300, 34),
}


@pytest.mark.parametrize("name", ["bigbench_mistake", "prm800k"])
def test_hand_made_rows(name: str, tmp_path: Path) -> None:
    check_hand_made_rows(Benchmark(name, ROWS[name]), tmp_path)


@pytest.mark.parametrize("name", MISTAKES)
def test_gold_of_real_rows(name: str) -> None:
    check_real_rows(Benchmark("bigbench_mistake", mistake, f"bigbench_mistake/{name}.jsonl", MISTAKES[name][0]))


def no_error(made: Artifact) -> int:
    """How many solutions the stage counted as free of errors."""
    counts: dict[str, int] = dict(made.manifest["metrics"]["labels"]["bars"])
    assert "open" not in counts
    return counts["no error"]


def stage_of(config: str) -> dict[str, Any]:
    """The stage that the comments of a config show."""
    lines = (ROOT / f"configs/tasks/{config}.yaml").read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("#   marked: "))
    shown = [line.removeprefix("#") for line in lines[start:] if line.startswith("#   ")]
    found: dict[str, Any] = yaml.safe_load("\n".join(shown))
    return found["marked"]


@pytest.mark.parametrize("name", ROWS)
def test_what_the_comments_show_loads_and_imports(name: str, tmp_path: Path, bench: Bench) -> None:
    """Every second solution has an error; PRM800K's all have one."""
    path = write_rows(tmp_path / "rows.jsonl", map(ROWS[name], range(110)))
    shown = stage_of(name)
    recipe = {"name": "marked", "include": [f"configs/tasks/{name}.yaml"], "stages": {"marked": shown}}
    assert "marked" in load(tmp_path, yaml.safe_dump(recipe), f"task.path={path}").nodes
    task = built(name, path=path).model_dump(mode="json")
    bench.make("questions", "problems", task=task, split="test")
    made = bench.make("marked", "import_steps", problems=Ref("questions"), path=str(path), form=shown["form"])
    wrong = sum(False in row["step_labels"] for row in rows_of(made))
    assert made.manifest["counts"]["out"] == 10 and made.manifest["counts"]["dropped.other_problem"] == 100
    assert wrong == 10 - no_error(made) > 0 and (no_error(made) == 0) is (name == "prm800k")


@pytest.mark.parametrize("name", MISTAKES)
def test_all_of_big_bench_mistake_is_imported(name: str, bench: Bench) -> None:
    path = file(f"bigbench_mistake/{name}.jsonl")
    task = built("bigbench_mistake", path=path, split={"test": None}).model_dump(mode="json")
    bench.make("questions", "problems", task=task, split="test")
    form = stage_of("bigbench_mistake")["form"]
    made = bench.make("marked", "import_steps", problems=Ref("questions"), path=str(path), form=form)
    rows, (n, clean) = rows_of(made), MISTAKES[name]
    assert made.manifest["counts"] == {"in": n, "out": n} and len(rows) == n
    assert no_error(made) == clean
    lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    marks = {line["input"].strip(): line["mistake_index"] for line in lines}
    assert all(row["step_labels"].count(False) <= 1 for row in rows)
    found = {row["question"]: row["step_labels"].index(False) if False in row["step_labels"] else None for row in rows}
    assert found == marks


def test_all_marks_of_champ_are_imported(bench: Bench) -> None:
    task = built("champ", path=file("champ/problems.jsonl")).model_dump(mode="json")
    bench.make("questions", "problems", task=task, split="test")
    path = str(file("champ/first_wrong_steps.jsonl"))
    made = bench.make("marked", "import_steps", problems=Ref("questions"), path=path, form=stage_of("champ")["form"])
    assert made.manifest["counts"] == {"in": 270, "out": 540}
    assert no_error(made) == 96
    assert {json.loads(row["tags"])["model"] for row in rows_of(made)} == {
        "GPT-3.5",
        "GPT-4",
        "GPT-4 Turbo",
        "PaLM 2 Medium",
    }
