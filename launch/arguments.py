"""Arguments and loading code that the commands share."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from data_gen.printable import printable

if TYPE_CHECKING:
    from reasoning_train.api.plan import Plan
    from reasoning_train.store.store import Store

Subparsers = Any
"""What `add_subparsers` returns; its type is private to argparse."""


def command(
    subparsers: Subparsers, name: str, function: Callable[[argparse.Namespace], int], summary: str, more: str = ""
) -> argparse.ArgumentParser:
    """A subcommand with its one-line summary. `more` is printed below the options: what a user needs to know, with
    examples."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=more,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(function=function)
    parser.add_argument("--debug", action="store_true", help="show the traceback of errors")
    return parser


def add_store(parser: argparse.ArgumentParser) -> None:
    """`--store`."""
    default = os.environ.get("REASONING_TRAIN_STORE", "store")
    text = "folder of artifacts and runs (default: $REASONING_TRAIN_STORE, else ./store)"
    parser.add_argument("--store", metavar="DIR", type=Path, default=Path(default), help=text)


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """`RECIPE`, `--set` and `--store`."""
    parser.add_argument("recipe", metavar="RECIPE", help="a recipe's YAML file")
    text = "override one field of the recipe, e.g. --set stages.sample.n=16; repeat as needed"
    parser.add_argument("--set", metavar="A.B=C", action="append", default=[], dest="overrides", help=text)
    add_store(parser)


def add_cluster(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """`--cluster`. If it is required, the environment may name it."""
    default = os.environ.get("REASONING_TRAIN_CLUSTER") if required else None
    text = "profile of the cluster; configs/clusters/ has some to start from" + (
        " (default: $REASONING_TRAIN_CLUSTER)" if required else ""
    )
    need = required and default is None
    parser.add_argument(
        "--cluster", metavar="FILE", type=Path, required=need, default=Path(default) if default else None, help=text
    )


def add_fresh(parser: argparse.ArgumentParser) -> None:
    """`--fresh`."""
    text = "make a finished stage again, e.g. with newer code; stages that read it follow if its bytes changed; "
    text += "repeat as needed"
    parser.add_argument("--fresh", metavar="STAGE", action="append", default=[], help=text)


def renew(arguments: argparse.Namespace, plan: Plan, store: Store) -> None:
    """Set aside the artifacts of the stages named by `--fresh`. UserError for a stage that is not in the recipe."""
    from data_gen.errors import UserError, nearest

    for name in arguments.fresh:
        if name not in plan.nodes:
            raise UserError(f"--fresh: the recipe has no stage {name!r}.{nearest(name, plan.nodes)}")
    for name in dict.fromkeys(arguments.fresh):
        if where := store.renew(plan.nodes[name]):
            print(f"{name}  its artifact was set aside in {where}; the stage runs again", file=sys.stderr)


def add_json(parser: argparse.ArgumentParser) -> None:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help="print JSON for programs")


def whole_number(least: int) -> Callable[[str], int]:
    """Argument type for whole numbers from `least`."""

    def read(text: str) -> int:
        if not (text.isdecimal() and int(text) >= least):
            raise argparse.ArgumentTypeError(f"expected a whole number from {least}, got {text!r}")
        return int(text)

    return read


def load(arguments: argparse.Namespace) -> Plan:
    """The plan of the given recipe and overrides. UserError if they are invalid."""
    from reasoning_train.process.plugins import import_plugins
    from reasoning_train.recipe.load import load_plan

    import_plugins()
    return load_plan(arguments.recipe, arguments.overrides)


def open_store(arguments: argparse.Namespace) -> Store:
    """The store given by `--store`."""
    from reasoning_train.store.store import Store

    return Store(arguments.store)


def print_json(value: Any) -> None:
    """Print a JSON value on standard output."""
    print(json.dumps(value, indent=1, ensure_ascii=False, default=str))


def print_table(
    columns: list[str], rows: list[list[str]], title: str | None = None, file: TextIO | None = None
) -> None:
    """Print a table for pipes and terminals: padded columns, no frames. `file`: standard output by default."""
    if title:
        print(title, file=file)
    widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
    for row in [columns, *([printable(cell) for cell in row] for row in rows)]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip(), file=file)
