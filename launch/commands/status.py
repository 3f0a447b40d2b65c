"""`status`: the runs of a store, their progress, and which process works on what."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launch.arguments import Subparsers, add_json, add_store, command, open_store, print_json, print_table

if TYPE_CHECKING:
    from reasoning_train.api.plan import Plan
    from reasoning_train.store.store import Store

MORE = """\
  reasoning-train status                the last run of every recipe in the store
  reasoning-train status NAME           the stages of the last run of recipe NAME
  reasoning-train status NAME --json
"""


def add(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = command(subparsers, "status", run, "show the runs of a store and their progress", MORE)
    parser.add_argument("name", metavar="NAME", nargs="?", help="a recipe's name: show each stage of its last run")
    add_store(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the runs, or the stages of one run."""
    from launch.runs import list_runs, read_run

    store = open_store(arguments)
    last = {path.parent.name: path for path in list_runs(store, arguments.name)}
    states = [{**read_run(path), "folder": str(path)} for path in last.values()]
    if arguments.name:
        for state in states:
            _add_progress(state, store)
    if arguments.json:
        print_json(states)
    elif not states:
        print(
            f"no runs{f' of recipe {arguments.name!r}' if arguments.name else ''} in {store.root}; `reasoning-train "
            "run RECIPE` makes one"
        )
    elif arguments.name:
        _print_nodes(states[0])
    else:
        _print_runs(states)
    return 0


def _add_progress(state: dict[str, Any], store: Store) -> None:
    from reasoning_train.store.ownership import owners
    from reasoning_train.store.partial import Partial
    from reasoning_train.store.plan_json import find_plan

    plan = find_plan(Path(state["folder"]) / "plan.json")
    if plan is None:
        return
    if "jobs" in state:
        _add_jobs(state, plan, store)
    for name, entry in state["nodes"].items():
        node = plan.nodes[name]
        if store.partial(node).is_dir():
            entry |= Partial(store.partial(node)).reached()
        entry["owners"] = [str(owner) for owner in owners(store, node)]


def _add_jobs(state: dict[str, Any], plan: Plan, store: Store) -> None:
    """Add the cluster's state of a submitted run. After its report is written it no longer changes."""
    from launch.slurm.progress import CANCELLED, look

    if state["state"] not in ("submitted", CANCELLED):
        return
    for name, found in look(Path(state["folder"]), state, plan, store).items():
        state["nodes"][name].update(state=found.state, error=found.note, requeues=found.requeues)


def _print_runs(states: list[dict[str, Any]]) -> None:
    rows = []
    for state in states:
        done = sum(node["state"] in ("ran", "cached", "passed") for node in state["nodes"].values())
        rows.append(
            [state["recipe"], state["state"], f"{done}/{len(state['nodes'])}", state["started"], state["folder"]]
        )
    print_table(["recipe", "state", "stages", "started", "folder"], rows)


def _print_nodes(state: dict[str, Any]) -> None:
    rows = []
    for name, node in state["nodes"].items():
        wall = f"{node['wall_s']:.1f} s" if "wall_s" in node else ""
        reached = (
            f"step {node['step']}" if "step" in node else f"{node['records']} records" if node.get("records") else ""
        )
        again = f"queued again {node['requeues']}x" if node.get("requeues") else ""
        note = "; ".join(filter(None, [reached, again, *node.get("owners", ()), node.get("error", "")]))
        rows.append([name, node["uses"], node["state"], wall, note])
    print_table(["stage", "uses", "state", "wall", ""], rows, f"{state['recipe']}: {state['state']}, {state['folder']}")
