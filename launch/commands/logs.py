"""`logs`: what a stage of a run printed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from data_gen.printable import printable
from launch.arguments import Subparsers, add_store, command, open_store

MORE = """\
  reasoning-train logs sample                   of the latest run of the store
  reasoning-train logs sample --shard 3         of one shard
  reasoning-train logs tuned --run NAME -n 50   the last 50 lines, of the latest run of recipe NAME
"""


def add(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = command(subparsers, "logs", run, "print the log of a stage", MORE)
    parser.add_argument("stage", metavar="STAGE", help="a stage of the run")
    parser.add_argument("--run", metavar="NAME", dest="name", help="a recipe's name (default: the latest run of all)")
    parser.add_argument("--shard", metavar="K", type=int, help="one shard only")
    parser.add_argument("-n", "--lines", metavar="N", type=int, default=0, help="only the last N lines of each file")
    add_store(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the files, each below its name if there are several."""
    from data_gen.errors import UserError, nearest
    from launch.runs import list_runs, no_run, read_run

    store = open_store(arguments)
    runs = list_runs(store, arguments.name)
    if not runs:
        raise no_run("--run", arguments.name, store)
    folder, state = runs[-1], read_run(runs[-1])
    if arguments.stage not in state["nodes"]:
        raise UserError(
            f"STAGE: run {folder} has no stage {arguments.stage!r}.{nearest(arguments.stage, state['nodes'])}"
        )
    files = [path for path in _files(folder, state, arguments.stage, arguments.shard) if path.is_file()]
    if not files:
        what = "shard" if arguments.shard is not None else "stage"
        raise UserError(
            f"{arguments.stage}: this {what} has printed nothing (state: {state['nodes'][arguments.stage]['state']})."
        )
    for path in files:
        text = path.read_text(encoding="utf-8", errors="replace")
        lines = printable(text.replace("\r\n", "\n").replace("\r", "\n")).splitlines()[-arguments.lines :]
        print("\n".join([f"==> {path} <==", *lines] if len(files) > 1 else lines))
    return 0


def _files(folder: Path, state: dict[str, Any], stage: str, shard: int | None) -> list[Path]:
    """Logs of a stage in the order of its shards, from cluster jobs or from a local run."""
    from launch.slurm.render import log_file

    if "jobs" not in state:
        if shard is not None:
            return sorted(folder.glob(f"logs/{stage}.{shard}-of-*.log"))
        return [*sorted(folder.glob(f"logs/{stage}.*-of-*.log")), folder / "logs" / f"{stage}.log"]
    found = []
    for name, job in state["jobs"].items():
        if job["node"] != stage:
            continue
        if not job["tasks"]:
            found += [log_file(folder, name)] if shard is None else []
            continue
        found += [log_file(folder, name, i) for i in job["tasks"] if shard in (None, job["offset"] + i)]
    return found
