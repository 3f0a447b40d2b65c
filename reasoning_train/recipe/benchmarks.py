"""The benchmarks that ship as tasks, by what the comments at the top of their files say.

The file of a benchmark in `configs/tasks` begins with what it measures, in one sentence and its citation, and goes on
with the lines of `FACTS`. `python -m reasoning_train.recipe.benchmarks` writes the table in
`configs/tasks/README.md`; `reasoning-train list benchmarks` prints the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reasoning_train.api.checkout import CHECKOUT
from reasoning_train.recipe.yaml_core import parse_value

FACTS = ("Problems", "Licence", "Use", "Gold", "Source")
"""What a file says of its benchmark, each as a line `# Problems: 600`."""
FOLDER = CHECKOUT / "configs" / "tasks"
TABLE = FOLDER / "README.md"
_HEAD = """\
# Benchmarks

Every file here is a task. A recipe names it in `include`, and the file of its problems with `--set task.path=FILE`
(`tasks.NAME.path` in a recipe of several tasks) where it is not on the Hub; nothing is downloaded unless
`reasoning-train fetch` is asked to. The comments at the top of a file say where its data is from, how gold is read, and
which tags its tables may be grouped by. A set that is for evaluation only has no training split, and a recipe in which
its problems reach something that learns is refused. Programs (grader `tests`) run in the sandbox: extra `sandbox`, or
`sandbox-wasm` without user namespaces, on a machine where `reasoning-train doctor` says that one holds.
[recipes/benchmarks](../../recipes/benchmarks/README.md) measures one model on many of them.

This table is written by `python -m reasoning_train.recipe.benchmarks`.

| task | measures | problems | grader | licence | use |
| --- | --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What one file says: `Benchmark("gsm8k", "GSM8K: word problems", "auto", {"Licence": "MIT", ...})`."""

    name: str
    about: str
    """What it measures, with its citation."""
    grader: str
    """The grader's name."""
    facts: dict[str, str]
    """By the names of `FACTS`, as far as the file says them."""


def benchmarks(paths: Iterable[Path]) -> list[Benchmark]:
    """The benchmarks among files of tasks: those that name their number of problems."""
    found = [read_benchmark(path) for path in sorted(paths)]
    return [benchmark for benchmark in found if "Problems" in benchmark.facts]


def read_benchmark(path: Path) -> Benchmark:
    """What the comments at the top of a file say, and its grader."""
    text = path.read_text(encoding="utf-8")
    comments = [line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#")]
    named = (line.partition(": ") for line in comments)
    facts = {name: said for name, _, said in named if name in FACTS}
    return Benchmark(path.stem, comments[0] if comments else "", _grader(parse_value(text, str(path))), facts)


def _grader(document: Any) -> str:
    task = document.get("task") if isinstance(document, dict) else None
    grader = task.get("grader", "auto") if isinstance(task, dict) else ""
    return str(grader.get("uses", "") if isinstance(grader, dict) else grader)


def table_text() -> str:
    """The content of `configs/tasks/README.md`."""
    rows = [
        [
            f"[{found.name}]({found.name}.yaml)",
            found.about,
            found.facts["Problems"],
            f"`{found.grader}`",
            found.facts.get("Licence", ""),
            found.facts.get("Use", ""),
        ]
        for found in benchmarks(FOLDER.glob("*.yaml"))
    ]
    return _HEAD + "".join(f"| {' | '.join(map(_cell, row))} |\n" for row in rows)


def _cell(text: str) -> str:
    """A text as a cell: a bar would end it."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    TABLE.write_text(table_text(), encoding="utf-8")
