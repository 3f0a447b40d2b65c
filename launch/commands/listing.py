"""`list`: the recipes, and what a recipe can use."""

from __future__ import annotations

import argparse
import importlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path

from launch.arguments import Subparsers, add_json, command, print_json, print_table

Row = dict[str, str]

WIDE = {"licence", "use"}
"""Columns that only `--json` shows: they are sentences."""
MORE = """\
  reasoning-train list               everything
  reasoning-train list stages        what `uses:` may name
  reasoning-train list stages --json
"""


def add(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = command(
        subparsers,
        "list",
        run,
        "list recipes and what they may name",
        MORE,
    )
    parser.add_argument("what", nargs="?", choices=sorted(SECTIONS), help="one section only")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the sections."""
    from reasoning_train.process.plugins import import_plugins

    import_plugins()
    sections = [arguments.what] if arguments.what else list(SECTIONS)
    found = {name: list(SECTIONS[name]()) for name in sections}
    if arguments.json:
        print_json(found)
        return 0
    for name, rows in found.items():
        columns = [column for column in rows[0] if column not in WIDE] if rows else []
        shown = [[_short(row[column]) if column == "problems" else row[column] for column in columns] for row in rows]
        print_table(columns, shown, f"{name}:" if rows else f"{name}: none found")
        print()
    return 0


def _short(fact: str) -> str:
    """A fact about a benchmark without what explains it: `118 (116 distinct)` is `118`."""
    return fact.partition(" (")[0].partition(";")[0]


def _recipes() -> Iterator[Row]:
    yield from ({"recipe": str(path), "about": _comment(path)} for path in _files("recipes"))


def _configs() -> Iterator[Row]:
    yield from ({"config": str(path), "about": _comment(path)} for path in _files("configs"))


def _benchmarks() -> Iterator[Row]:
    from reasoning_train.recipe.benchmarks import benchmarks

    for found in benchmarks(path for path in _files("configs") if path.parent.name == "tasks"):
        facts = {name.lower(): found.facts.get(name, "") for name in ("Problems", "Licence", "Use")}
        yield {"benchmark": found.name, "grader": found.grader, **facts, "about": found.about}


def _files(folder: str) -> list[Path]:
    """Files of the current folder, else of the installed checkout. Includes are searched there too."""
    from reasoning_train.api.checkout import CHECKOUT

    return sorted(Path(folder).glob("*/*.yaml")) or sorted((CHECKOUT / folder).glob("*/*.yaml"))


def _comment(path: Path) -> str:
    """The comment at the top of a file, to the end of the first line that ends a sentence. Lines for editors are left
    out."""
    shown: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#") or (shown and shown[-1].endswith(".")):
            break
        if not line.startswith("# yaml-language-server:"):
            shown.append(line.removeprefix("#").strip())
    return " ".join(shown)


def _stages() -> Iterator[Row]:
    from reasoning_train.api.stage import STAGES

    for name in STAGES.names():
        stage = STAGES.get(name)
        outputs = ", ".join(f"{output}: {kind}" for output, kind in stage.outputs.items())
        yield {"stage": name, "outputs": outputs, "unit": stage.unit, "about": _module_summary(stage.run)}


def _pieces(name: str, registry: str) -> Callable[[], Iterator[Row]]:
    """The section of a registry, given as `module:NAME`: each piece with the first paragraph of its docstring."""

    def rows() -> Iterator[Row]:
        module, _, attribute = registry.partition(":")
        pieces = getattr(importlib.import_module(module), attribute)
        for piece in pieces.names():
            yield {name: piece, "about": _summary(pieces.get(piece).__doc__)}

    return rows


def _losses() -> Iterator[Row]:
    from reasoning_train.trainers.losses.base import LOSSES

    for name in LOSSES.names():
        loss = LOSSES.get(name)
        yield {"loss": name, "reads": ", ".join(loss.reads), "about": _summary(loss.__doc__)}


def _module_summary(function: Callable[..., None]) -> str:
    """The module's first paragraph without the leading name: "`sample`: n graded solutions ..."."""
    summary = _summary(inspect.getdoc(inspect.getmodule(function)))
    return summary.partition(": ")[2] or summary


def _summary(doc: str | None) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join((doc or "").strip().partition("\n\n")[0].split())


SECTIONS: dict[str, Callable[[], Iterator[Row]]] = {
    "recipes": _recipes,
    "configs": _configs,
    "benchmarks": _benchmarks,
    "stages": _stages,
    "tasks": _pieces("task", "data_gen.tasks:TASKS"),
    "graders": _pieces("grader", "data_gen.graders:GRADERS"),
    "extractors": _pieces("extractor", "data_gen.extractors:EXTRACTORS"),
    "measures": _pieces("measure", "data_gen.measures:MEASURES"),
    "programs": _pieces("program", "data_gen.programs:PROGRAMS"),
    "searches": _pieces("search", "data_gen.search.base:SEARCHES"),
    "scorers": _pieces("scorer", "data_gen.scorers.base:SCORERS"),
    "votes": _pieces("vote", "data_gen.search.votes:VOTES"),
    "pair_rules": _pieces("pair rule", "data_gen.labelling.pairs:PAIR_RULES"),
    "target_rules": _pieces("target rule", "data_gen.labelling.targets:TARGET_RULES"),
    "step_forms": _pieces("step form", "data_gen.step_forms:STEP_FORMS"),
    "transforms": _pieces("transform", "data_gen.transforms:TRANSFORMS"),
    "losses": _losses,
    "difficulties": _pieces("difficulty", "reasoning_train.evaluation.difficulty:DIFFICULTIES"),
    "claims": _pieces("claim", "reasoning_train.evaluation.claims:CLAIM_FORMS"),
}
