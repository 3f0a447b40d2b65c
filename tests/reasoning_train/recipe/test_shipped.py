"""The recipes that ship: they load, and loading imports nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from reasoning_train.api.checkout import CHECKOUT
from reasoning_train.recipe.load import load_plan

TINY = CHECKOUT / "recipes" / "rejection_sampling" / "tiny.yaml"


@pytest.mark.parametrize("recipe", sorted((CHECKOUT / "recipes").rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_loads(recipe: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    asked = [
        {"input": f"{i} + 1?", "target": i + 1} for i in range(328)
    ]  # as many as configs/tasks/multiarith.yaml deals
    rows.write_text("".join(json.dumps(row) + "\n" for row in asked), encoding="utf-8")
    wants_a_file = "--set task.path=" in recipe.read_text(encoding="utf-8")
    assert load_plan(recipe, [f"task.path={rows}"] if wants_a_file else []).nodes


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
