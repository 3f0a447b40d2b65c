"""Writes a run's tables as Markdown between two marks of a README, so that no figure is typed by hand.

<!-- figures: rejection_sampling_tiny -->
<!-- end -->

A run with many tables shows those of some stages, over all seeds: `<!-- figures: rejection_sampling_tiny (eval, claim)
-->`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_gen.errors import UserError, first_line, nearest
from reasoning_train.evaluation.figures import figures
from reasoning_train.evaluation.report.budgets import curve_table
from reasoning_train.evaluation.report.curves import budget_figures, without_seed
from reasoning_train.evaluation.report.gather import StageView, count_stages, per_artifact, run_views
from reasoning_train.store.plan_json import read_plan
from reasoning_train.store.run_json import read_state
from reasoning_train.store.state_files import write_text
from reasoning_train.store.store import Store


def write_figures(run_dir: Path, store: Store, readme: Path) -> None:
    """Replace the block of the run's recipe in `readme`. UserError if the marks are missing, or name no stage."""
    if not readme.is_file():
        raise UserError(f"{readme}: the file does not exist, so no figures can be written into it.")
    plan, state = read_plan(run_dir / "plan.json"), read_state(run_dir)
    views = run_views(plan, state, store)
    begin = rf"(<!-- figures: {re.escape(plan.name)}(?: \(([^)]*)\))? -->\r?\n)"
    pattern = re.compile(rf"{begin}.*?(<!-- end -->)", re.DOTALL)
    text, found = pattern.subn(
        lambda m: m[1] + run_figures(_named(views, m[2], readme), state, views) + m[3], _text(readme)
    )
    if not found:
        raise UserError(
            f"{readme}: no block for {plan.name!r}. Put `<!-- figures: {plan.name} -->` and `<!-- end -->` where its "
            "tables belong."
        )
    try:
        write_text(readme, text)
    except OSError as error:
        raise UserError(f"{readme}: cannot be written ({first_line(error)}). The file is as it was.") from error


def _text(readme: Path) -> str:
    """The text of a file of the user, with its ends of lines as they are."""
    try:
        with readme.open(encoding="utf-8", newline="") as stream:
            return stream.read()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{readme}: the file cannot be read ({first_line(error)}).") from None


def _named(views: list[StageView], names: str | None, readme: Path) -> list[StageView]:
    """The stages that a mark names, over all seeds; all without names. UserError if the run has no such stage."""
    if names is None:
        return views
    wanted, known = [name.strip() for name in names.split(",")], {view.name.partition("@")[0] for view in views}
    for name in wanted:
        if name not in known:
            raise UserError(f"{readme}: the run has no stage {name!r}, which `figures` names.{nearest(name, known)}")
    return [view for view in views if view.name.partition("@")[0] in wanted]


def run_figures(views: list[StageView], state: dict[str, Any], every: Sequence[StageView] = ()) -> str:
    """All tables of these stages, one line of figures per stage, and the date and work of the run. `every`: all stages
    of the run, if these are some of them. Curves of accuracy against budget over several seeds stand for the tables of
    each seed."""
    curves = {figure.name: figure for figure in budget_figures(views)}
    merged = {name for name, figure in curves.items() if figure.seeds > 1}
    tables = [(view.name, table) for view in views for table in view.tables if without_seed(view.name) not in merged]
    tables += [(name, curve_table(figure)) for name, figure in curves.items()]
    parts = [f"**{name}** · {table.get('title', '')}\n\n{markdown_table(table)}" for name, table in tables]
    lines = [line for view in views if (line := _line(view))]
    every = every or views
    wall = sum(view.manifest.get("wall_s", 0) for view in per_artifact(every))
    made = f"Run of {state['started'][:10]}: {count_stages(every)}, {wall:.0f} s of work."
    return "\n".join([*parts, "\n".join(lines), "", made, ""])


def markdown_table(table: dict[str, Any]) -> str:
    """A table of strings as GitHub Markdown."""
    rows = [table["columns"], ["---"] * len(table["columns"]), *table["rows"]]
    notes = "".join(f"\nNote: {note}.\n" for note in table.get("notes", ()))
    lines = ("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows)
    return "\n".join(lines) + "\n" + notes


def _line(view: StageView) -> str:
    shown, counts = figures(view.manifest), view.manifest.get("counts", {})
    if not shown and view.uses not in ("select", "sft_paths"):
        return ""
    rows = [f"{counts['out']} rows"] if "out" in counts else []
    return f"- `{view.name}`: {', '.join([*rows, *shown])}, {view.manifest.get('wall_s', 0):.0f} s"
