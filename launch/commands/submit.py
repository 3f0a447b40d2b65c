"""`submit`: run a recipe as jobs of a SLURM cluster."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from launch.arguments import (
    Subparsers,
    add_cluster,
    add_fresh,
    add_json,
    add_recipe,
    command,
    load,
    open_store,
    print_json,
    print_table,
    renew,
)

if TYPE_CHECKING:
    from launch.slurm.jobs import SlurmJob
    from launch.slurm.submit import Submission
    from reasoning_train.api.plan import Plan

MORE = """\
One job a stage; stages that generate are arrays of shards. It skips finished stages, waits for stages that jobs of an
earlier submission are making, and submits the rest, so run the same command again after any failure. The store must be
on a file system that all nodes share. `status`, `logs` and `cancel` work on what was submitted.

  reasoning-train submit RECIPE --cluster configs/clusters/gpu.yaml --dry-run   every script and sbatch line
  reasoning-train submit RECIPE --cluster configs/clusters/gpu.yaml
  reasoning-train plan   RECIPE --cluster configs/clusters/gpu.yaml            what the jobs would ask for
"""


def add(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = command(subparsers, "submit", run, "submit a recipe to SLURM, one job a stage", MORE)
    add_recipe(parser)
    add_cluster(parser, required=True)
    add_fresh(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="print every script and sbatch line; write and submit nothing"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Submit the jobs and print their table."""
    from data_gen.errors import UserError
    from launch.commands.fetch import missing
    from launch.slurm.feasible import check
    from launch.slurm.jobs import waits_for
    from launch.slurm.profile import load_cluster
    from launch.slurm.request import make_requests
    from launch.slurm.submit import dry_run, scripts, submit, submit_line
    from reasoning_train.store.estimate import estimate_plan

    plan, store, cluster = load(arguments), open_store(arguments), load_cluster(arguments.cluster)
    if arguments.fresh and arguments.dry_run:
        raise UserError("--fresh sets artifacts aside, but --dry-run changes nothing; leave one of them out.")
    renew(arguments, plan, store)
    estimates = estimate_plan(plan, store)
    requests = make_requests(plan, cluster, estimates)
    check(plan, store, cluster, requests, estimates)
    absent = missing(arguments, cluster.env.get("HF_HOME"))
    if not arguments.dry_run:
        for line in [*absent, *_not_passed_on()]:
            print(line, file=sys.stderr)
        done = submit(plan, store, cluster, requests, str(arguments.cluster.absolute()))
        if arguments.json:
            print_json({"run": str(done.folder), "jobs": [_row(done, job) for job in done.jobs], "others": done.others})
        else:
            _print_table(plan, done)
        return 0
    done = dry_run(plan, store, cluster, requests)
    written = dict(scripts(plan, store, cluster, done.jobs, done.folder))
    lines = [submit_line(job, done.folder, waits_for(job, plan, done.others)) for job in done.jobs]
    if arguments.json:
        told = {"missing": absent, "others": done.others, "queue_error": done.queue_error}
        print_json({"jobs": [_row(done, job) for job in done.jobs], "scripts": written, "lines": lines, **told})
        return 0
    for name, text in written.items():
        print(f"# ---- {done.folder / 'jobs' / name}.sh\n{text}")
    unknown = (
        [f"SLURM did not answer, so its queue is assumed to be empty: {done.queue_error}"] if done.queue_error else []
    )
    print("\n".join([*lines, *absent, *unknown]))
    _print_table(plan, done)
    return 0


def _not_passed_on() -> list[str]:
    """A line about options of the shell that jobs do not get."""
    from launch.slurm.scheduler import unused_options

    names = unused_options(os.environ)
    return (
        [f"not passed on: {', '.join(names)}. Jobs ask for what the profile says; see its `sbatch`."] if names else []
    )


def _print_table(plan: Plan, done: Submission) -> None:
    if not done.jobs:
        waits = (
            f"; {len(done.others)} are being made by jobs {', '.join(sorted(set(done.others.values())))}"
            if done.others
            else ""
        )
        print(
            f"nothing to submit: {len(plan.nodes) - len(done.others)} of {len(plan.nodes)} stages are finished{waits}"
        )
        return
    rows = [[str(value) for value in _row(done, job).values()] for job in done.jobs]
    print_table(
        ["job", "name", "tasks", "nodes", "gpus", "cpus", "memory", "time", "after"],
        rows,
        f"recipe {plan.name} ({plan.path})",
    )
    cached = sum(name not in done.others and name not in {job.node for job in done.jobs} for name in plan.nodes)
    print(f"{len(done.jobs)} jobs, {cached} stages finished, {len(done.others)} made by earlier submissions")
    print(f"run: {done.folder}" if done.numbers else "dry run: nothing was written or submitted")


def _row(done: Submission, job: SlurmJob) -> dict[str, Any]:
    request = job.request
    return {
        "job": done.numbers.get(job.name, "-"),
        "name": job.name,
        "tasks": len(job.tasks) or 1,
        "nodes": request.nodes,
        "gpus": request.gpus,
        "cpus": request.cpus,
        "memory": request.memory or "",
        "time": request.clock,
        "after": ", ".join(job.needs) if job.part != "report" else "all",
    }
