"""`report`: write the page of a run again and print its path."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from launch.arguments import Subparsers, add_store, command, open_store

MORE = """\
`run` writes the page when it ends. This command writes it again, or for an interrupted run. If the store cannot be
written, the page goes to the current folder. Curves of accuracy against budget also go to report.json beside the page.

  reasoning-train report                           the latest run of the store
  reasoning-train report rejection_sampling_tiny   the latest run of the recipe of that name
  reasoning-train report rejection_sampling_tiny --into recipes/rejection_sampling/README.md
  reasoning-train report rejection_sampling_tiny --result recipes/rejection_sampling/result.json
  reasoning-train report store/runs/rejection_sampling_tiny/20261124T015102Z-e52485
"""


def add(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = command(subparsers, "report", run, "write report.html of a run", MORE)
    parser.add_argument(
        "run", metavar="RUN", nargs="?", help="a recipe's name or a run's folder (default: the latest run)"
    )
    parser.add_argument(
        "--into",
        metavar="README",
        type=Path,
        help="also write the run's tables between the marks of this Markdown file",
    )
    parser.add_argument(
        "--result",
        metavar="JSON",
        type=Path,
        help="also write the run's verdicts to this file, for the matrix of methods",
    )
    add_store(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the report and print its path."""
    from data_gen.errors import UserError, first_line
    from launch.runs import list_runs, no_run
    from reasoning_train.evaluation.report import write_figures, write_report, write_result
    from reasoning_train.process.plugins import import_plugins

    import_plugins()
    store = open_store(arguments)
    if arguments.run and (Path(arguments.run) / "run.json").is_file():
        folder = Path(arguments.run)
    else:
        runs = list_runs(store, arguments.run)
        if not runs:
            raise no_run("RUN", arguments.run, store)
        folder = runs[-1]
    try:
        print(write_report(folder, store))
    except OSError as error:  # of another user, or mounted to be read only
        path = Path.cwd() / f"{folder.parent.name}-{folder.name}.html"
        print(f"{folder} cannot be written ({first_line(error)}); the page is in this folder:", file=sys.stderr)
        try:
            print(write_report(folder, store, path))
        except OSError as second:
            raise UserError(f"{path}: cannot be written either ({first_line(second)}).") from None
    if arguments.into:
        write_figures(folder, store, arguments.into)
        print(arguments.into)
    if arguments.result:
        write_result(folder, store, arguments.result)
        print(arguments.result)
    return 0
