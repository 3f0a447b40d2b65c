"""Published benchmarks that may lie beside the repository, and the task configs that read them."""

from __future__ import annotations

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


def built(config: str, **settings: Any) -> Task:
    """The task of `configs/tasks/CONFIG.yaml` with other settings."""
    text = (ROOT / f"configs/tasks/{config}.yaml").read_text(encoding="utf-8")
    task = yaml.safe_load(text)["task"]
    return TASKS.get(task["uses"]).model_validate({**task, **settings})
