"""The recipe as submitted: one YAML file without includes or overrides that gives the same keys."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from data_gen.errors import UserError
from reasoning_train.api.plan import Plan
from reasoning_train.recipe.load import load_plan


def write_snapshot(plan: Plan, path: Path) -> None:
    """Write the recipe that jobs read. UserError if its keys differ, which would otherwise be noticed only in the
    queue."""
    text = yaml.safe_dump(absolute(plan), sort_keys=False, allow_unicode=True, width=120)
    path.write_text(f"# {plan.path} as it was submitted.\n{text}", encoding="utf-8")
    again = load_plan(path)
    changed = [
        name for name, node in plan.nodes.items() if name not in again.nodes or again.nodes[name].key != node.key
    ]
    if changed:
        raise UserError(
            f"{plan.path}: its snapshot {path} gives stage {changed[0]!r} another key. This is a bug; please report it."
        )


def absolute(plan: Plan) -> Any:
    """The resolved recipe with absolute paths of leaf files, since the snapshot is in another folder."""
    known = {path for node in plan.nodes.values() for path in node.files}
    places = (Path(plan.path).parent, Path.cwd())
    return _with_paths(
        plan.resolved, lambda text: next((p for p in (_under(place, text) for place in places) if p in known), text)
    )


def _under(place: Path, text: str) -> str:
    return os.path.abspath(place / Path(text).expanduser())


def _with_paths(value: Any, resolve: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {key: _with_paths(item, resolve) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_paths(item, resolve) for item in value]
    return resolve(value) if isinstance(value, str) and value and "\n" not in value else value
