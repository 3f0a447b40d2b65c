"""`cancel`: end the jobs of a submitted run."""

from __future__ import annotations

import argparse

from launch.arguments import Subparsers, add_store, command, open_store

MORE = """\
Finished stages and progress are kept, and `submit` continues from there.

  reasoning-train cancel NAME     the latest submission of the recipe of that name
"""


def add(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = command(subparsers, "cancel", run, "cancel the jobs of a submitted run", MORE)
    parser.add_argument("name", metavar="NAME", help="a recipe's name")
    add_store(parser)


def run(arguments: argparse.Namespace) -> int:
    """Cancel the active jobs and print how many there were."""
    from data_gen.errors import UserError, nearest
    from launch.runs import list_runs, read_run
    from launch.slurm import scheduler
    from launch.slurm.progress import CANCELLED
    from reasoning_train.store.state_files import write_json

    store = open_store(arguments)
    submitted = [path for path in list_runs(store, arguments.name) if read_run(path).get("jobs")]
    if not submitted:
        known = {path.parent.name for path in list_runs(store)} - {arguments.name}
        raise UserError(
            f"NAME: {arguments.name!r} has no submitted run in {store.root}.{nearest(arguments.name, known)}"
        )
    state = read_run(submitted[-1])
    if state["state"] == "submitted":  # otherwise its report is written and no job is in the queue
        write_json(submitted[-1] / "run.json", {**state, "state": CANCELLED})
    numbers = {job["job"] for job in state["jobs"].values()}
    alive = {one.job.partition("_")[0] for one in scheduler.active(numbers)}
    scheduler.cancel(alive)
    print(f"{len(alive)} of {len(numbers)} jobs cancelled; finished work is kept ({submitted[-1]})")
    return 0
