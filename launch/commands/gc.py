"""`gc`: lists, then removes, artifacts that no kept run uses and those that were set aside."""

from __future__ import annotations

import argparse

from launch.arguments import Subparsers, add_json, add_store, command, open_store, print_json, whole_number

MORE = """\
Every run folder is kept unless --keep says how many of each recipe; deleting a run's folder by hand works as well.
What a live process works on or reads is never touched, nor what a run takes up meanwhile. Without --yes nothing is
removed.

  reasoning-train gc                  what could go
  reasoning-train gc --keep 1 --yes   keep only what the last run of each recipe reaches
"""


def add(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = command(subparsers, "gc", run, "list or remove artifacts that no kept run reaches", MORE)
    parser.add_argument(
        "--keep", type=whole_number(0), metavar="N", help="keep the last N runs of each recipe (default: all)"
    )
    parser.add_argument("--yes", action="store_true", help="remove what is listed")
    add_store(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """List what can be removed; remove it with `--yes`."""
    from launch.garbage import find_garbage, remove, size_of

    store = open_store(arguments)
    garbage = {path: size_of(path) for path in find_garbage(store, arguments.keep)}
    outcome = remove(store, list(garbage)) if arguments.yes else ((path, "") for path in garbage)
    rows = []
    for path, kept in outcome:
        rows.append({"path": str(path), "bytes": garbage[path], "removed": arguments.yes and not kept, "kept": kept})
        if not arguments.json:
            print(f"{garbage[path] / 2**20:10.1f} MiB  {path}{f'  kept: {kept}' if kept else ''}")
    if arguments.json:
        print_json(rows)
    elif not garbage:
        print(f"nothing to remove in {store.root}")
    elif not arguments.yes:
        print("nothing was removed; add --yes to remove these")
    return 0
