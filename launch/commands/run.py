"""`run`: make everything that a recipe describes."""

from __future__ import annotations

import argparse

from launch.arguments import Subparsers, add_recipe, command, load, open_store, whole_number

MORE = """\
Finished stages are reused, unfinished ones go on where they stopped, so the same command serves to resume after
Ctrl-C, a kill or a full disk. Only stages whose configuration or inputs changed run again (see `plan` and `why`).

  reasoning-train run recipes/rejection_sampling/tiny.yaml
  reasoning-train run RECIPE --store /data/store --cores 8
  reasoning-train run RECIPE --set seed=1 --set stages.sample.temperature=0.7
"""


def add(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = command(subparsers, "run", run, "run a recipe: every stage that is not finished yet", MORE)
    add_recipe(parser)
    parser.add_argument("--cores", type=whole_number(1), metavar="N", help="CPU cores to use (default: all that this process may)")


def run(arguments: argparse.Namespace) -> int:
    """Load the plan, run it, return the exit code."""
    from launch.execute import execute
    from launch.local import default_cores

    return execute(load(arguments), open_store(arguments), arguments.cores or default_cores())
