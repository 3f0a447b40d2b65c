"""`python -m tests.compare`: other tools' verdicts on the generations of recipes/benchmarks, row by row beside ours.

Run the recipe first; `make compare` makes the environment of the other tools. Exit code 1 if a row differs. With
`--record` the rows, without their questions, and the tools' verdicts become `recorded.jsonl`: a fast test compares it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

from data_gen.errors import UserError
from tests.compare.generations import COLUMNS, Generation, generations_of

ROOT = Path(__file__).parents[2]
RECORDED = Path(__file__).parent / "recorded.jsonl"
PYTHON = ROOT / ".venv-lm-eval" / "bin" / "python"
"""The environment that `make compare` makes."""


def main() -> int:
    """Print a line for every stage and column."""
    parser = argparse.ArgumentParser(prog="python -m tests.compare", description=__doc__)
    parser.add_argument("--store", type=Path, default=Path("store"))
    parser.add_argument("--run", default="benchmarks_smollm", help="a recipe's name")
    parser.add_argument("--python", type=Path, default=PYTHON, help="of an environment with lm-eval and math-verify")
    parser.add_argument("--record", action="store_true", help=f"write {RECORDED.name}")
    arguments = parser.parse_args()
    try:
        made = list(generations_of(arguments.store, arguments.run))
    except UserError as error:
        print(f"error: {error} Run recipes/benchmarks first; its README has the command.", file=sys.stderr)
        return 2
    differ, recorded = 0, list[dict[str, Any]]()
    for stage, rows in groupby(made, key=lambda row: row.stage):
        n, theirs = compared(stage, list(rows), arguments.python)
        differ, recorded = differ + n, recorded + theirs
    if arguments.record:
        said = ({key: value for key, value in row.items() if key != "question"} for row in recorded)
        RECORDED.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in said), encoding="utf-8")
    print(f"{len(made)} generations, {differ} verdicts differ")
    return int(differ > 0 or not made)


def compared(stage: str, rows: Sequence[Generation], python: Path) -> tuple[int, list[dict[str, Any]]]:
    """How many verdicts on the rows of a stage differ, each of which is printed; and the rows with the verdicts of the
    tools."""
    differ, found = 0, [{**asdict(row), "theirs": {}} for row in rows]
    for tool, columns in COLUMNS.items():
        if not set(columns) & rows[0].ours.keys():
            continue
        version, verdicts = asked(tool, found, python)
        for column in columns:
            for row, theirs in zip(found, verdicts[column], strict=True):
                row["theirs"][column] = theirs
            differ += told(f"{stage} {column}", column, f"{tool} {version}", found)
    return differ, found


def told(title: str, column: str, tool: str, rows: Sequence[dict[str, Any]]) -> int:
    """How many rows differ in a column, after a line for the column and one for each of them."""
    pairs = [(row["ours"].get(column), row["theirs"][column], row) for row in rows]
    apart = [pair for pair in pairs if pair[0] != pair[1]]
    ours, theirs = (100 * sum(pair[side] or 0 for pair in pairs) / len(pairs) for side in (0, 1))
    print(f"{title}: {len(rows)} rows, ours {ours:.1f} %, {tool} {theirs:.1f} %, {len(apart)} differ")
    for mine, other, row in apart:
        print(f"  {row['id']}: ours {mine}, {tool} {other}, gold {row['gold']!r}, text ends {row['text'][-80:]!r}")
    return len(apart)


def asked(tool: str, rows: Sequence[dict[str, Any]], python: Path) -> tuple[str, dict[str, list[int]]]:
    """The version of a tool, and its verdicts by column. No network is used."""
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder) / "rows.jsonl", Path(folder) / "out.json"
        given.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": folder, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [str(python), "-m", "tests.compare.sides", tool, str(given), str(out)],
            cwd=folder,
            env={**os.environ, **offline},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{tool} failed under {python}:\n{done.stderr[-2000:]}")
        said = json.loads(out.read_text(encoding="utf-8"))
    return said["version"], said["verdicts"]


if __name__ == "__main__":
    sys.exit(main())
