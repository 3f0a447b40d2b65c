"""The matrix of methods: every claim of the shipped recipes with its verdict, from their files `result.json`.

`reasoning-train report NAME --result recipes/NAME/result.json` writes such a file after a run;
`python -m reasoning_train.evaluation.report.matrix` writes the table in `recipes/README.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reasoning_train.api.checkout import CHECKOUT
from reasoning_train.evaluation.report.results import read_results

FOLDER = CHECKOUT / "recipes"
TABLE = FOLDER / "README.md"
RESULT = "result.json"
_HEAD = """\
# Recipes

A folder is a method, or several that are measured together: `README.md` says what is claimed and prints the measured
tables, `tiny.yaml` (or `smollm.yaml`) runs on two CPU cores, `full.yaml` is written for GPUs.

Claims are stages of the recipes and were written before the run. A verdict needs five seeds, a 95 % interval over seeds
and problems that lies on one side of the claim's margin, and that side in four of five seeds. `contradicted` and `not
resolved` are results, too. Effects on accuracy and F1 are in points; the control, where there is one, is part of the
claim.

This table is written by `python -m reasoning_train.evaluation.report.matrix` from the recipes' `result.json`.

| method | claim | measured in | effect with 95 % interval | seeds x problems | verdict | commit |
| --- | --- | --- | --- | --- | --- | --- |
"""


def table_text(folder: Path = FOLDER) -> str:
    """The content of `recipes/README.md`."""
    paths = sorted(folder.glob(f"*/{RESULT}"))
    rows = sorted((row for path in paths for row in _rows(path)), key=lambda row: row[0].casefold())
    return _HEAD + "".join(f"| {' | '.join(map(_cell, row))} |\n" for row in rows) + _unmeasured(folder)


def _rows(path: Path) -> Iterator[list[str]]:
    """One row for each claim of a file."""
    for result in read_results(path):
        for claim in result["claims"]:
            basis = f"{claim['seeds']} x {claim['problems']}"
            place = f"[{path.parent.name}]({path.parent.name}/README.md) `{claim['stage']}`"
            yield [
                claim["method"],
                claim["claim"],
                place,
                _effects(claim),
                basis,
                claim["verdict"],
                (result["commit"] or "")[:7],
            ]


def _effects(claim: dict[str, Any]) -> str:
    """The comparisons that are claimed; with several, each with its own verdict."""
    claimed = [one for one in claim["comparisons"] if one["claimed"]]
    shown = [f"{one['comparison']} {_metric(one)}{one['claimed']}: {one['all seeds']}" for one in claimed]
    if len(claimed) > 1:
        shown = [f"{text} ({one['verdict']})" for text, one in zip(shown, claimed, strict=True)]
    return "; ".join(shown)


def _metric(one: dict[str, str]) -> str:
    return "" if one["metric"] == "accuracy" else f"in {one['metric']} "


def _unmeasured(folder: Path) -> str:
    """The recipes that have no verdict on record."""
    names = [path.parent.name for path in sorted(folder.glob("*/README.md")) if not (path.parent / RESULT).exists()]
    links = ", ".join(f"[{name}]({name}/README.md)" for name in names)
    return f"\nWithout a verdict on record, or without a claim: {links}.\n" if names else ""


def _cell(text: str) -> str:
    """A text as a cell: a bar would end it."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    TABLE.write_text(table_text(), encoding="utf-8")
