"""The recipes that ship: they load, and loading imports nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reasoning_train.api.checkout import CHECKOUT
from reasoning_train.recipe.includes import load_document
from reasoning_train.recipe.load import load_plan
from tests.benchmark_data import write_rows
from tests.data_gen.benchmarks.test_bbh import bbh
from tests.data_gen.benchmarks.test_choices import mmlu
from tests.data_gen.benchmarks.test_exams import english
from tests.data_gen.benchmarks.test_word_problems import svamp

TINY = CHECKOUT / "recipes" / "rejection_sampling" / "tiny.yaml"


def gsm8k(i: int) -> dict[str, Any]:
    return {"question": f"What is {i} + 1?", "answer": f"{i} + 1 = {i + 1}\n#### {i + 1}"}


def procbench(i: int) -> dict[str, Any]:
    told = {"prompt": f"Follow {i}.", "label": {"init": 0, "intermediate": [i], "final": i + 1}}
    return {**told, "task_name": "task01", "problem_name": f"task01_{i}"}


MADE: dict[str, tuple[Callable[[int], dict[str, Any]], int]] = {
    # name of the task: (one of its rows, how many it takes)
    "svamp": (svamp, 240),
    "mmlu_stem": (mmlu, 3),
    "counting": (bbh("object_counting").row, 3),
    "gaokao2023en": (english, 3),
    "procbench": (procbench, 60),
}


def files_of_tasks(recipe: Path, folder: Path) -> Iterator[str]:
    """`--set` for the named tasks of a recipe that have no file: rows made by hand."""
    for name, task in load_document(recipe).value.get("tasks", {}).items():
        if "shots" in task or (task.get("uses") == "jsonl" and not task.get("hub")):
            row, n = MADE.get(name, (gsm8k, 240))
            file = write_rows(folder / f"{name}.jsonl", map(row, range(n)))
            fields = [f"paths.{split}" for split in task["hub_splits"]] if task.get("hub") else ["path"]
            yield from (f"tasks.{name}.{field}={file}" for field in fields)


@pytest.mark.parametrize("recipe", sorted((CHECKOUT / "recipes").rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_loads(recipe: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    asked = [
        {"input": f"{i} + 1?", "target": i + 1} for i in range(328)
    ]  # as many as configs/tasks/multiarith.yaml deals
    rows.write_text("".join(json.dumps(row) + "\n" for row in asked), encoding="utf-8")
    wants_a_file = "--set task.path=" in recipe.read_text(encoding="utf-8")
    sets = [f"task.path={rows}"] if wants_a_file else []
    assert load_plan(recipe, [*sets, *files_of_tasks(recipe, tmp_path)]).nodes


def test_trees_grow_from_the_quickstarts_base() -> None:
    """Letter by letter, so that its artifact serves both."""
    quickstart, trees = load_plan(TINY, []), load_plan(CHECKOUT / "recipes" / "mcts" / "tiny.yaml", [])
    assert quickstart.nodes["base"].key == trees.nodes["base"].key


def test_loading_imports_nothing_heavy() -> None:
    code = f"""
import sys
from pathlib import Path
from reasoning_train.recipe.load import load_plan
load_plan(Path({str(TINY)!r}))
print(sorted({{"torch", "transformers", "datasets", "numpy", "pyarrow", "sympy"}} & sys.modules.keys()))
"""
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
