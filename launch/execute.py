"""Runs a plan from start to end: folder, runner, report, tables."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from data_gen.errors import UserError
from data_gen.printable import printable
from launch.display import clock, open_display
from launch.forked import require_fork
from launch.local import INTERRUPTED, OUTPUT_LOST, LocalRunner
from launch.runs import RunFolder
from reasoning_train.api.plan import Plan
from reasoning_train.api.stage import STAGES
from reasoning_train.process.streams import Output
from reasoning_train.store.disk import explain_disk
from reasoning_train.store.store import Store

STATES = {0: "done", 1: "failed", INTERRUPTED: "interrupted", OUTPUT_LOST: "interrupted"}
TABLE_KINDS = ("table", "verdict")
"""Kinds of outputs whose tables are printed at the end of a run."""
FILE_WIDTH = 180
"""Width of tables in a file or a pipe, where nothing should be wrapped."""


def execute(plan: Plan, store: Store, cores: int, nproc: int = 1) -> int:
    """Run a plan, print the results and return the exit code (0, 1, 130 or 141). UserError if the disk is full or
    the system cannot fork."""
    require_fork()
    with explain_disk(store.root):
        _require_store(store)
        return _execute(plan, store, cores, nproc)


def _require_store(store: Store) -> None:
    """Create the store's folder. UserError if it is not writable."""
    try:
        store.runs.mkdir(parents=True, exist_ok=True)
        writable = os.access(store.runs, os.W_OK)
    except OSError as error:
        raise UserError(
            f"--store: cannot write in {store.root} ({error.strerror}). Name a folder with `--store DIR`."
        ) from error
    if not writable:
        raise UserError(f"--store: {store.runs} is not writable. Name another folder with `--store DIR`.")


def _execute(plan: Plan, store: Store, cores: int, nproc: int) -> int:
    began = time.monotonic()
    folder = RunFolder(store, plan)
    with open_display() as display:
        runner = LocalRunner(plan, store, folder, display, cores, nproc)
        code = runner.run()
    wall = time.monotonic() - began
    folder.close(STATES[code], wall)
    output = display.output
    _print_tables(plan, store, output)
    report = None if STATES[code] == "interrupted" else _write_report(folder.path, store)
    _print_end(runner, code, wall, folder.path, report)
    output.flush()
    if output.lost is not None:
        # On a closed terminal or pipe this fails, too. A log on a full disk leaves stderr to say it.
        Output(sys.stderr).write(
            f"error: the output cannot be written ({output.lost.strerror}); what is done is kept\n"
        )
    return code or (OUTPUT_LOST if output.lost else 0)


def _write_report(folder: Path, store: Store) -> Path:
    from reasoning_train.evaluation.report import write_report

    return write_report(folder, store)


def _print_end(runner: LocalRunner, code: int, wall: float, folder: Path, report: Path | None) -> None:
    output = runner.display.output
    states = [node["state"] for node in runner.folder.state["nodes"].values()]
    counted = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    print(f"{len(states)} stages: {counted}; {clock(wall)}", file=output)
    print(f"run:    {folder}", file=output)
    if report is not None:
        print(f"report: {report}", file=output)
    if code == INTERRUPTED:
        print("interrupted; run the same command again to continue", file=output)


def _print_tables(plan: Plan, store: Store, output: Output) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=cast("IO[str]", output), highlight=False)
    if not console.is_terminal:
        console.width = FILE_WIDTH
    for name, table in tables(plan, store):
        title = f"{name}: {table['title']}" if "title" in table else name
        # As Text, since brackets in names (`tuned[beta=0.1]`) are no markup.
        shown = Table(title=Text(printable(title)), title_justify="left")
        for column in table["columns"]:
            shown.add_column(Text(printable(column)))
        shown.columns[0].no_wrap = True  # keep names unwrapped
        for row in table["rows"]:
            shown.add_row(*(Text(printable(str(cell))) for cell in row))
        console.print(shown)
        for note in table.get("notes", ()):
            console.print(printable(note), markup=False, soft_wrap=True)


def tables(plan: Plan, store: Store) -> Iterator[tuple[str, dict[str, Any]]]:
    """(node, table) of every finished node whose main output is a table or a verdict: `metrics["table"]` and the tables
    by groups, `metrics["by"]`."""
    for name, node in plan.nodes.items():
        stage = STAGES.get(node.uses)
        artifact = store.find(node) if stage.outputs[stage.main] in TABLE_KINDS else None
        if artifact and "table" in artifact.manifest["metrics"]:
            yield name, artifact.manifest["metrics"]["table"]
            yield from ((name, table) for table in artifact.manifest["metrics"].get("by", []))
