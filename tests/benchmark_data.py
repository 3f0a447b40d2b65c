"""Published benchmarks that may lie beside the repository, rows made by hand, and the task configs that read them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from data_gen.tasks import TASKS, Task

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
"""Folder of the files. The project stands without it."""


def file(name: str) -> Path:
    """A file of the folder; the test is skipped where it is not there."""
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{name} is not beside the repository")
    return path


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Rows made by hand as a file of JSON Lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def built(config: str, **settings: Any) -> Task:
    """The task of `configs/tasks/CONFIG.yaml` with other settings."""
    text = (ROOT / f"configs/tasks/{config}.yaml").read_text(encoding="utf-8")
    task = yaml.safe_load(text)["task"]
    return TASKS.get(task["uses"]).model_validate({**task, **settings})
