"""The state of a run, `run.json` in its folder: read by commands and reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data_gen.errors import UserError
from reasoning_train.store.state_files import Shape, read_json

RUN_FILE = "run.json"


class _Node(Shape):
    uses: str
    key: str
    state: str


class _Run(Shape):
    """What every reader relies on."""

    recipe: str
    started: str
    state: str
    nodes: dict[str, _Node]


def find_state(run: Path) -> dict[str, Any] | None:
    """What a run's folder says of it; None if that is absent or damaged."""
    state: dict[str, Any] | None = read_json(run / RUN_FILE, _Run)
    return state


def read_state(run: Path) -> dict[str, Any]:
    """What a run's folder says of it. UserError if that is absent or damaged."""
    state = find_state(run)
    if state is None:
        raise UserError(f"{run / RUN_FILE} is damaged or gone. Run the recipe again, or name another run.")
    return state
