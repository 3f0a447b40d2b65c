"""Gathers the rows of tables into curves of accuracy against budget, over all seeds, from manifests alone.

Rows `NAME@N` are points of one curve, whoever made them: smaller pools of one entry (`n: [1, 2, 4]`), searches with one
budget each, or arms of a recipe's own. A row `NAME` beside them is a point of it, too; other rows are single points.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reasoning_train.evaluation.intervals import Estimate
from reasoning_train.evaluation.names import PREDICTED, SHARE
from reasoning_train.evaluation.pooled import over_seeds
from reasoning_train.evaluation.report.gather import StageView, per_artifact
from reasoning_train.evaluation.report.seconds import Manifests, seconds_per_token

COST_TITLES = {
    "tokens": "tokens a problem, drawn and read",
    "calls": "completions a problem",
    "seconds": "seconds a problem on the machine of this run",
}
"""Cost -> what its axis says."""


@dataclass(frozen=True, slots=True)
class BudgetPoint:
    """One row over all seeds: `BudgetPoint("beam@4", 4, Estimate(0.6, 0.55, 0.65), 5, {"tokens": 240.0})`."""

    row: str
    n: int | None
    """The number in its name."""
    accuracy: Estimate
    seeds: int
    """Seeds that have the row."""
    costs: Mapping[str, float]
    """Mean cost a problem, of every cost that all these seeds know and that is above 0."""


@dataclass(frozen=True, slots=True)
class BudgetCurve:
    """The points of one name, in order of their numbers."""

    name: str
    points: tuple[BudgetPoint, ...]
    oracle: bool = False
    """Whether gold was used to find answers."""
    predicted: bool = False
    """Whether it is a closed form beside a measured curve."""
    plateau: float | None = None
    """What a predicted curve comes to in the end."""

    @property
    def measured_name(self) -> str:
        """The name of the measured curve, which a prediction shares its colour with."""
        return self.name.removesuffix(PREDICTED)


@dataclass(frozen=True, slots=True)
class BudgetPanel:
    """The curves on all problems of a table, or on those of one group."""

    by: str
    """Empty for all problems."""
    group: str
    problems: int
    curves: tuple[BudgetCurve, ...]


@dataclass(frozen=True, slots=True)
class BudgetFigure:
    """The curves of one table."""

    name: str
    seeds: int
    panels: tuple[BudgetPanel, ...]
    """All problems first, then every group."""

    def costs(self) -> list[str]:
        """The costs that any point has."""
        known = {cost for panel in self.panels for curve in panel.curves for one in curve.points for cost in one.costs}
        return [cost for cost in COST_TITLES if cost in known]

    def to_json(self) -> dict[str, Any]:
        """Plain data, estimates as [value, low, high]."""
        return {"table": self.name, "seeds": self.seeds, "panels": [_panel_json(panel) for panel in self.panels]}


def budget_figures(views: Sequence[StageView]) -> list[BudgetFigure]:
    """A figure for every table, of all seeds, in which some curve has points of different budgets."""
    made = {view.key: view.manifest for view in views if view.manifest}
    tables: dict[str, list[StageView]] = {}
    for view in per_artifact(views):
        if view.manifest.get("metrics", {}).get("summary", {}).get("policies"):
            tables.setdefault(without_seed(view.name), []).append(view)
    figures = (_figure(name, [view.manifest for view in own], made) for name, own in tables.items())
    return [figure for figure in figures if _grows(figure)]


def without_seed(name: str) -> str:
    """A node's name without its seed.

    >>> without_seed("eval@3"), without_seed("eval")
    ('eval', 'eval')
    """
    return re.sub(r"@\d+$", "", name)


def cost_text(cost: float) -> str:
    """A cost in four digits, or in whole numbers.

    >>> cost_text(0.18249), cost_text(881.3), cost_text(16384.4)
    ('0.1825', '881.3', '16384')
    """
    return f"{cost:.4g}" if cost < 10_000 else f"{cost:.0f}"


def split_number(row: str) -> tuple[str, int | None]:
    """The curve of a row, and its number there.

    >>> split_number("beam@4"), split_number("greedy")
    (('beam', 4), ('greedy', None))
    """
    found = re.fullmatch(r"(.+)@(\d+)", row)
    return (found[1], int(found[2])) if found else (row, None)


def _figure(name: str, tables: Sequence[Mapping[str, Any]], made: Manifests) -> BudgetFigure:
    whole = [(table, table["metrics"]["summary"]) for table in tables]
    groups: dict[tuple[str, str], list[tuple[Mapping[str, Any], Mapping[str, Any]]]] = {("", ""): whole}
    for table, summary in whole:
        for by, found in summary.get("groups", {}).items():
            for group, part in found.items():
                groups.setdefault((by, group), []).append((table, part))
    panels = tuple(_panel(by, group, parts, made) for (by, group), parts in groups.items())
    return BudgetFigure(name, len(tables), panels)


def _panel(
    by: str, group: str, parts: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]], made: Manifests
) -> BudgetPanel:
    curves: dict[str, list[BudgetPoint]] = {}
    for row in dict.fromkeys(row for _, part in parts for row in part["policies"]):
        own = [(table, part["policies"][row]) for table, part in parts if row in part["policies"]]
        curves.setdefault(split_number(row)[0], []).append(_point(row, own, made))
    oracle = {row for table, _ in parts for row in table["metrics"]["summary"].get("oracle", [])}
    problems = max(part["problems"] for _, part in parts)
    found = (_curve(name, points, by, group, [table for table, _ in parts], oracle) for name, points in curves.items())
    return BudgetPanel(by, group, problems, tuple(found))


def _point(row: str, own: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]], made: Manifests) -> BudgetPoint:
    costs: dict[str, list[float]] = {}
    for table, metrics in own:
        rate = seconds_per_token(table, row, made)
        known = {cost: metrics[cost][0] for cost in ("tokens", "calls") if cost in metrics}
        for cost, value in {**known, **({"seconds": rate * known["tokens"]} if rate else {})}.items():
            costs.setdefault(cost, []).append(value)
    means = {cost: sum(found) / len(found) for cost, found in costs.items() if len(found) == len(own)}
    accuracy = over_seeds([Estimate(*metrics["accuracy"]) for _, metrics in own], SHARE)
    return BudgetPoint(
        row, split_number(row)[1], accuracy, len(own), {cost: value for cost, value in means.items() if value > 0}
    )


def _curve(
    name: str,
    points: Iterable[BudgetPoint],
    by: str,
    group: str,
    tables: Sequence[Mapping[str, Any]],
    oracle: set[str],
) -> BudgetCurve:
    ordered = tuple(sorted(points, key=lambda point: (point.n is None, point.n or 0)))
    predicted = name.endswith(PREDICTED)
    limits = [table["metrics"].get("limits", {}).get(name.removesuffix(PREDICTED), {}) for table in tables]
    if by:
        limits = [one.get("groups", {}).get(by, {}).get(group, {}) for one in limits]
    plateaus = [one["plateau"][0] for one in limits if "plateau" in one]
    plateau = sum(plateaus) / len(plateaus) if predicted and plateaus else None
    return BudgetCurve(name, ordered, any(point.row in oracle for point in ordered), predicted, plateau)


def _grows(figure: BudgetFigure) -> bool:
    """Whether a measured curve has points with different tokens."""
    measured = (curve for curve in figure.panels[0].curves if not curve.predicted)
    return any(len({point.costs.get("tokens") for point in curve.points} - {None}) > 1 for curve in measured)


def _panel_json(panel: BudgetPanel) -> dict[str, Any]:
    place = {"by": panel.by, "group": panel.group} if panel.by else {}
    return {**place, "problems": panel.problems, "curves": [_curve_json(curve) for curve in panel.curves]}


def _curve_json(curve: BudgetCurve) -> dict[str, Any]:
    marks: dict[str, Any] = {name: True for name in ("oracle", "predicted") if getattr(curve, name)}
    marks |= {} if curve.plateau is None else {"plateau": curve.plateau}
    points = [
        {"row": p.row, "n": p.n, "accuracy": p.accuracy.numbers, "seeds": p.seeds, **p.costs} for p in curve.points
    ]
    return {"name": curve.name, **marks, "points": points}
