"""One run of a plan from start to end: folder, runner, report, tables."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from launch.display import clock, open_display
from launch.forked import require_fork
from launch.local import INTERRUPTED, LocalRunner
from launch.runs import RunFolder
from reasoning_train.recipe.disk import explain_full_disk
from reasoning_train.recipe.plan import Plan
from reasoning_train.recipe.store import Store
from reasoning_train.stage_api import STAGES

STATES = {0: "done", 1: "failed", INTERRUPTED: "interrupted"}
TABLE_KINDS = ("table", "verdict")
"""Kinds of outputs whose tables are printed at the end of a run."""


def execute(plan: Plan, store: Store, cores: int) -> int:
    """Run a plan, print what came out and return the exit code (0, 1 or 130). UserError when the disk is full or nothing can be forked."""
    require_fork()
    with explain_full_disk(store.root):
        return _execute(plan, store, cores)


def _execute(plan: Plan, store: Store, cores: int) -> int:
    began = time.monotonic()
    folder = RunFolder(store, plan)
    with open_display() as display:
        runner = LocalRunner(plan, store, folder, display, cores)
        code = runner.run()
    wall = time.monotonic() - began
    folder.close(STATES[code], wall)
    _print_tables(plan, store)
    report = None if code == INTERRUPTED else _write_report(folder.path, store)
    _print_end(runner, code, wall, folder.path, report)
    return code


def _write_report(folder: Path, store: Store) -> Path:
    from reasoning_train.evaluation.report import write_report

    return write_report(folder, store)


def _print_end(runner: LocalRunner, code: int, wall: float, folder: Path, report: Path | None) -> None:
    states = [node["state"] for node in runner.folder.state["nodes"].values()]
    counted = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    print(f"{len(states)} stages: {counted}; {clock(wall)}")
    print(f"run:    {folder}")
    if report is not None:
        print(f"report: {report}")
    if code == INTERRUPTED:
        print("interrupted; the same command goes on where this one stopped")


def _print_tables(plan: Plan, store: Store) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    for name, table in tables(plan, store):
        shown = Table(*table["columns"], title=name, title_justify="left")
        for row in table["rows"]:
            shown.add_row(*map(str, row))
        console.print(shown)


def tables(plan: Plan, store: Store) -> Iterator[tuple[str, dict[str, Any]]]:
    """(node, table) of every finished node whose main output is a table or a verdict and that left `metrics["table"]`."""
    for name, node in plan.nodes.items():
        stage = STAGES.get(node.uses)
        artifact = store.find(node) if stage.outputs[stage.main] in TABLE_KINDS else None
        if artifact and "table" in artifact.manifest["metrics"]:
            yield name, artifact.manifest["metrics"]["table"]
