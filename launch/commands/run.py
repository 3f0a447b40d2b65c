"""`run`: run every stage of a recipe that is not finished."""

from __future__ import annotations

import argparse

from launch.arguments import Subparsers, add_fresh, add_recipe, command, load, open_store, renew, whole_number

MORE = """\
Finished stages are reused and unfinished ones resume where they stopped, so run the same command again after Ctrl-C, a
kill or a full disk. Only stages whose configuration or inputs changed run again (see `plan` and `why`).

  reasoning-train run recipes/rejection_sampling/tiny.yaml
  reasoning-train run RECIPE --launcher torchrun --nproc 8     trainers in 8 processes, samplers in 8 shards
  reasoning-train run RECIPE --store /data/store --cores 8
  reasoning-train run RECIPE --fresh sample      again, with today's code (`plan` says what other code made)
  reasoning-train run RECIPE --set seed=1 --set stages.sample.temperature=0.7
"""


def add(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = command(subparsers, "run", run, "run a recipe: every stage that is not finished yet", MORE)
    add_recipe(parser)
    add_fresh(parser)
    parser.add_argument(
        "--launcher", choices=["torchrun"], help="start trainers, and stages that run a model, in several processes"
    )
    parser.add_argument(
        "--nproc", type=whole_number(1), metavar="N", help="processes of the launcher, such as one per GPU"
    )
    parser.add_argument(
        "--cores", type=whole_number(1), metavar="N", help="CPU cores to use (default: all that this process may use)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Load the plan, run it, return the exit code."""
    from launch.execute import execute
    from launch.local import default_cores
    from launch.placement import check_processes

    plan, store = load(arguments), open_store(arguments)
    nproc = _processes(arguments)
    renew(arguments, plan, store)
    check_processes(plan, store, nproc)
    return execute(plan, store, arguments.cores or default_cores(), nproc)


def _processes(arguments: argparse.Namespace) -> int:
    from data_gen.errors import UserError

    if bool(arguments.nproc) != bool(arguments.launcher):
        raise UserError(
            "--launcher and --nproc: give both, e.g. `--launcher torchrun --nproc 8`, or neither (`--cores` bounds "
            "plain runs)."
        )
    return int(arguments.nproc or 1)
