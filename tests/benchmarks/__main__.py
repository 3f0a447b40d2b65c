"""Figures, never timed tests: `python -m tests.benchmarks [NAME] [--json]`.

Every module of this folder with a `run()` is a benchmark; it yields `Figure`-like dictionaries with name, value, unit,
target and ok. One that cannot run on this machine yields the value None and, as its target, what it needs: it is told,
and counts as no miss.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


def benchmarks() -> dict[str, Callable[[], Iterator[dict[str, Any]]]]:
    """Name of a module -> its `run`."""
    names = [
        module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]) if not module.name.startswith("_")
    ]
    modules = {name: importlib.import_module(f"tests.benchmarks.{name}") for name in names}
    return {name: module.run for name, module in modules.items() if hasattr(module, "run")}


def main() -> int:
    """Run one benchmark or all; exit code 1 when a figure misses its target."""
    known = benchmarks()
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("name", nargs="?", choices=sorted(known), help="one benchmark only")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    arguments = parser.parse_args()
    fine = True
    for name in [arguments.name] if arguments.name else sorted(known):
        for figure in known[name]():
            fine &= bool(figure["ok"])
            print(json.dumps(figure) if arguments.json else _line(figure), flush=True)
    return 0 if fine else 1


def _line(figure: dict[str, Any]) -> str:
    if figure["value"] is None:
        return f"skip  {figure['name']:<44} needs {figure['target']}"
    mark = "ok  " if figure["ok"] else "MISS"
    return f"{mark}  {figure['name']:<44} {figure['value']:>10.4g} {figure['unit']:<10} target {figure['target']}"


if __name__ == "__main__":
    sys.exit(main())
