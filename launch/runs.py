"""Folders of runs: `ROOT/runs/<recipe>/<utc time>-<id>/` with the plan, the state of every node, logs and the
report."""

from __future__ import annotations

import contextlib
import datetime
import os
import sys
import time
import uuid
from dataclasses import asdict
from pathlib import Path
from typing import Any

from data_gen.errors import UserError, nearest
from reasoning_train.api.plan import Plan
from reasoning_train.process.identity import Identity
from reasoning_train.store.locks import BEAT_S, STALE_S, guard, heartbeat_age
from reasoning_train.store.plan_json import write_plan
from reasoning_train.store.run_json import RUN_FILE, find_state, read_state
from reasoning_train.store.state_files import write_json
from reasoning_train.store.store import Store


class RunFolder:
    """One run on disk, by this process (`running`) or by cluster jobs (`submitted`). `save` writes `state` to
    `run.json`."""

    def __init__(self, store: Store, plan: Plan, state: str = "running", **more: Any) -> None:
        now = datetime.datetime.now(datetime.UTC)
        self._beaten = time.monotonic()
        self.path = store.runs / plan.name / f"{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"
        self.logs = self.path / "logs"
        self.logs.mkdir(parents=True)
        self.plan_file = self.path / "plan.json"
        write_plan(self.plan_file, plan)
        self.state: dict[str, Any] = {
            "recipe": plan.name,
            "path": plan.path,
            "command": sys.argv,
            "started": now.isoformat(timespec="seconds"),
            "state": state,
            "process": asdict(Identity.mine()),
            "nodes": {
                name: {"uses": node.uses, "key": node.key, "state": "waiting"} for name, node in plan.nodes.items()
            },
            **more,
        }
        self._changed = True
        with guard(self.path.parent):  # `gc` must not remove what it has found unused before this run used it
            self.save()
        _point_latest(self.path)

    def node(self, name: str, **changes: Any) -> None:
        """Record something about a node."""
        self.state["nodes"][name].update(changes)
        self._changed = True

    def changed(self) -> None:
        """Write `run.json` after a direct change of `state`."""
        self._changed = True
        self.save()

    def save(self) -> None:
        """Write `run.json` if something was recorded since the last time."""
        if self._changed:
            write_json(self.path / RUN_FILE, self.state)
            self._changed = False

    def beat(self) -> None:
        """Show from time to time that this process lives to those who cannot see it."""
        if time.monotonic() - self._beaten >= BEAT_S:
            self._beaten = time.monotonic()
            with contextlib.suppress(OSError):  # a hiccup of the file system must not end the run
                os.utime(self.path / RUN_FILE)

    def close(self, state: str, wall_s: float) -> None:
        """Record how the run ended."""
        self.state.update(state=state, wall_s=round(wall_s, 3))
        self.changed()


def _point_latest(path: Path) -> None:
    temporary = path.parent / f".latest-{path.name}"
    with contextlib.suppress(OSError):  # file systems without links have no shortcut
        temporary.symlink_to(path.name)
        os.replace(temporary, path.parent / "latest")


def list_runs(store: Store, recipe: str | None = None) -> list[Path]:
    """Run folders of one recipe or of all, oldest first. A run whose `run.json` is damaged counts as absent."""
    return [path for path in run_folders(store, recipe) if find_state(path) is not None]


def no_run(field: str, recipe: str | None, store: Store) -> UserError:
    """The error that `field` of a command names no run."""
    known = {path.parent.name for path in list_runs(store)}
    hint = nearest(recipe, known) if recipe and known else " `reasoning-train run RECIPE` makes one."
    return UserError(f"{field}: there is no run {f'of {recipe!r}' if recipe else 'at all'} in {store.root}.{hint}")


def run_folders(store: Store, recipe: str | None = None) -> list[Path]:
    """Run folders, oldest first, also those whose `run.json` is damaged."""
    found = (path.parent for path in store.runs.glob("*/*/run.json") if not path.parent.is_symlink())
    return sorted((path for path in found if recipe in (None, path.parent.name)), key=lambda path: path.name)


def read_run(path: Path) -> dict[str, Any]:
    """The state of a run folder; `killed` if it says `running` but its process is gone or, where that cannot be seen,
    shows no sign of life. UserError if it is damaged."""
    state = read_state(path)
    if state["state"] == "running" and not _lives(path, Identity.read(state.get("process"))):
        state["state"] = "killed"
    return state


def _lives(path: Path, process: Identity | None) -> bool:
    alive = process.lives() if process else None
    return heartbeat_age(path / RUN_FILE) <= STALE_S if alive is None else alive
