"""Curves of accuracy against budget as the page, READMEs and other programs get them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reasoning_train.evaluation.report.budget_svg import budget_svg, spans
from reasoning_train.evaluation.report.curves import COST_TITLES, BudgetCurve, BudgetFigure, BudgetPanel, cost_text
from reasoning_train.store.state_files import write_text

WHOLE, PART = (620.0, 330.0), (300.0, 190.0)
"""Width and height in pixels of the plot of all problems, and of those of groups."""

MOST_COLUMNS = 8
"""Most numbers of a curve that a README shows one by one."""


@dataclass(frozen=True, slots=True)
class BudgetView:
    """A figure on the page: `BudgetView("eval", "5 seeds", (("tokens", (("all problems", "<svg ..."),)),))`."""

    name: str
    about: str
    costs: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    """Cost -> (title, svg) of all problems and of every group."""


def budget_view(figure: BudgetFigure) -> BudgetView:
    """The figure with a set of panels for every cost."""
    colours = list(dict.fromkeys(curve.measured_name for panel in figure.panels for curve in panel.curves))
    costs = tuple((cost, tuple(_panels(figure, cost, colours))) for cost in figure.costs())
    return BudgetView(figure.name, _about(figure), costs)


def _panels(figure: BudgetFigure, cost: str, colours: Sequence[str]) -> list[tuple[str, str]]:
    """(title, svg) of the panels with points. All groups have the same axes."""
    whole, *groups = figure.panels
    shown = []
    for panels, size in (([whole], WHOLE), (groups, PART)):
        if within := spans(panels, cost):
            drawn = ((_title(panel), budget_svg(panel, cost, colours, size, within)) for panel in panels)
            shown += [(title, svg) for title, svg in drawn if svg]
    return shown


def _about(figure: BudgetFigure) -> str:
    if figure.seeds == 1:
        return "one seed, so no bands; the table has the intervals over problems"
    return f"means of {figure.seeds} seeds; bands are 95 % intervals over seeds and problems"


def _title(panel: BudgetPanel) -> str:
    where = f"{panel.by} {panel.group}" if panel.by else "all problems"
    return f"{where} ({panel.problems})"


def write_curves(figures: Sequence[BudgetFigure], path: Path) -> None:
    """Write the points of all figures as JSON."""
    write_text(path, json.dumps({"curves": [figure.to_json() for figure in figures]}, indent=1) + "\n")


def curve_table(figure: BudgetFigure) -> dict[str, Any]:
    """A row a curve and a column a number: accuracy on all problems, and the tokens that it takes. Of more than
    `MOST_COLUMNS` numbers those that at least double stand for all."""
    [whole, *_] = figure.panels
    numbers = _some({point.n for curve in whole.curves for point in curve.points if point.n is not None})
    rest = any(point.n is None for curve in whole.curves for point in curve.points)
    limits = any(curve.plateau is not None for curve in whole.curves)
    seeds = f"mean of {figure.seeds} seeds" if figure.seeds > 1 else "one seed"
    return {
        "title": f"accuracy against budget, {whole.problems} problems: % with 95 % intervals, {seeds}, at "
        f"{COST_TITLES['tokens']}",
        "columns": ["strategy", *(f"@{n}" for n in numbers), *["whole"] * rest, *["plateau"] * limits],
        "rows": [_cells(curve, [*numbers, *[None] * rest], limits) for curve in whole.curves],
    }


def _some(numbers: Iterable[int]) -> list[int]:
    """The numbers in order; of many only those that at least double, and the last."""
    every = sorted(numbers)
    if len(every) <= MOST_COLUMNS:
        return every
    kept = every[:1]
    for n in every[1:]:
        kept += [n] if n >= 2 * kept[-1] or n == every[-1] else []
    return kept


def _cells(curve: BudgetCurve, numbers: Sequence[int | None], limits: bool) -> list[str]:
    found = {
        point.n: f"{point.accuracy.percent()} at {cost_text(point.costs.get('tokens', 0))}" for point in curve.points
    }
    plateau = "" if curve.plateau is None else f"{100 * curve.plateau:.1f}"
    name = f"{curve.name} (oracle)" if curve.oracle else curve.name
    return [name, *(found.get(n, "") for n in numbers), *[plateau] * limits]
