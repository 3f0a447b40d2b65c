"""Curves of accuracy against a budget as inline SVG: bands, marks, direct labels, a logarithmic axis of costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from reasoning_train.evaluation.report.chart_svg import Point, ticks
from reasoning_train.evaluation.report.curves import COST_TITLES, BudgetCurve, BudgetPanel, BudgetPoint, cost_text

COLOURS, MARKS = 8, 5
"""Numbers of colours (classes `s0`, `s1`, ... of the page) and of shapes. Together they tell 40 curves apart."""
LEFT, TOP, BOTTOM, LABEL_GAP = 46, 24, 40, 14
CHARACTER, LONGEST = 6.1, 30
"""Width of a label's character in pixels, and most characters shown. Hovering shows the whole name."""


@dataclass(frozen=True, slots=True)
class Axes:
    """Where values stand: `Axes(plot=(46, 10, 400, 200), x=(10, 1000), y=(0.2, 0.8))`."""

    plot: tuple[float, float, float, float]
    """Left, top, right and bottom in pixels."""
    x: Point
    """Least and greatest cost, on a logarithmic axis."""
    y: Point

    def at(self, x: float, y: float) -> Point:
        """Pixels of a cost and an accuracy."""
        left, top, right, bottom = self.plot
        share = (math.log(x) - math.log(self.x[0])) / (math.log(self.x[1]) - math.log(self.x[0]))
        return left + share * (right - left), bottom - (y - self.y[0]) / (self.y[1] - self.y[0]) * (bottom - top)


def spans(panels: Iterable[BudgetPanel], cost: str) -> tuple[Point, Point] | None:
    """(least and greatest cost, least and greatest accuracy) of some panels, with room around; None without points.
    Panels that share them can be compared."""
    points = [point for panel in panels for curve in panel.curves for point in drawn(curve, cost)]
    if not points:
        return None
    costs, bands = [one.costs[cost] for one in points], [_band(one) for one in points]
    low, high = min(low for low, _ in bands), max(high for _, high in bands)
    room = max(0.02, 0.05 * (high - low))
    factor = 1.08 if min(costs) < max(costs) else 2.0
    return (min(costs) / factor, max(costs) * factor), (max(0.0, low - room), min(1.0, high + room))


def drawn(curve: BudgetCurve, cost: str) -> list[BudgetPoint]:
    """The points of a curve that have this cost."""
    return [point for point in curve.points if cost in point.costs]


def budget_svg(panel: BudgetPanel, cost: str, colours: Sequence[str], size: Point, within: tuple[Point, Point]) -> str:
    """One panel. colours: measured names, whose places give colour and shape; size: of the plot in pixels; `within`:
    what `spans` gives. Empty if no curve has points."""
    shown = [curve for curve in panel.curves if drawn(curve, cost)]
    if not shown:
        return ""
    x, y = within
    names = {curve.name: _shortened(curve) for curve in shown}
    right, bottom = LEFT + size[0], TOP + max(size[1], LABEL_GAP * len(shown))
    width, height = right + 26 + CHARACTER * max(map(len, names.values())), bottom + BOTTOM
    axes = Axes((LEFT, TOP, right, bottom), x, y)
    places = {curve.name: colours.index(curve.measured_name) for curve in shown}
    shapes = [_area(axes, curve, cost, places[curve.name]) for curve in shown]
    shapes += [_line(axes, curve, cost, places[curve.name]) for curve in shown]
    shapes += _labels(axes, shown, cost, places, names)
    where = f"{panel.by} {panel.group}" if panel.by else "all problems"
    style = f"width:{width:.0f}px;max-width:100%;height:auto"
    head = (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" style="{style}" role="img" '
        f'aria-label="accuracy against {escape(cost)}, {escape(where)}">'
    )
    return f"{head}{_frame(axes, cost)}{''.join(shapes)}</svg>"


def log_ticks(low: float, high: float, most: int = 7) -> list[float]:
    """At most about `most` round values on a logarithmic axis: 1, 2 and 5 times powers of ten, or powers of ten alone;
    evenly spaced ones where the axis is short.

    >>> log_ticks(8, 300), log_ticks(1, 10_000)
    ([10.0, 20.0, 50.0, 100.0, 200.0], [1.0, 10.0, 100.0, 1000.0, 10000.0])
    """
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1,)):
        found = [factor * 10.0**e for e in exponents for factor in factors if low <= factor * 10.0**e <= high]
        if len(found) <= most:
            return found if len(found) > 2 else ticks(low, high)
    return found[:: math.ceil(len(found) / most)]


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """The places moved as little as needed to stand `gap` apart from `low` to `high`, in their order.

    >>> spread([5.0, 6.0, 30.0], 10, 0, 40)
    [5.0, 15.0, 30.0]
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    found = dict[int, float]()
    for below, i in enumerate(order):
        least = low + gap * below
        found[i] = max(places[i], least, *(found[j] + gap for j in order[:below][-1:]))
    for above, i in enumerate(reversed(order)):
        after = order[len(order) - above :][:1]
        found[i] = min(found[i], high - gap * above, *(found[j] - gap for j in after))
    return [found[i] for i in range(len(places))]


def _band(point: BudgetPoint) -> Point:
    """The interval over seeds; one seed has none."""
    accuracy = point.accuracy
    return (accuracy.low, accuracy.high) if point.seeds > 1 else (accuracy.value, accuracy.value)


def _shortened(curve: BudgetCurve) -> str:
    name = f"{curve.name} (oracle)" if curve.oracle else curve.name
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def _frame(axes: Axes, cost: str) -> str:
    left, top, right, bottom = axes.plot
    parts = [
        f'<text class="tick" x="4" y="{top - 10}">accuracy %</text>',
        f'<path class="axis" d="M{left},{top} V{bottom:.0f} H{right:.0f}"/>',
    ]
    for value in ticks(*axes.y):
        y = axes.at(axes.x[0], value)[1]
        parts.append(f'<line class="grid" x1="{left}" x2="{right:.0f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{100 * value:g}</text>')
    for value in log_ticks(*axes.x):
        x = axes.at(value, axes.y[0])[0]
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom:.0f}" y2="{bottom + 4:.0f}"/>')
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{bottom + 16:.0f}" text-anchor="middle">{_short(value)}</text>'
        )
    middle = (left + right) / 2
    title = f'<text class="tick" x="{middle:.0f}" y="{bottom + 33:.0f}" text-anchor="middle">{COST_TITLES[cost]}</text>'
    return "".join([*parts, title])


def _short(value: float) -> str:
    """`200`, `1.5k`, `20M`."""
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{letter}"
    return f"{value:g}"


def _area(axes: Axes, curve: BudgetCurve, cost: str, place: int) -> str:
    """The band of the interval over seeds, or an upright line for a single point. None for one seed."""
    points = [point for point in drawn(curve, cost) if point.seeds > 1]
    ends = [(point.costs[cost], *_band(point)) for point in points]
    upper, lower = ([axes.at(x, pair[side]) for x, *pair in ends] for side in (1, 0))
    if len(points) > 1:
        return f'<polygon class="band s{place % COLOURS}" points="{_path([*upper, *reversed(lower)])}"/>'
    return "".join(f'<polyline class="whisker s{place % COLOURS}" points="{_path([*upper, *lower])}"/>' for _ in ends)


def _line(axes: Axes, curve: BudgetCurve, cost: str, place: int) -> str:
    points = drawn(curve, cost)
    at = [axes.at(point.costs[cost], point.accuracy.value) for point in points]
    colour = f"s{place % COLOURS}"
    dashed = " dashed" if curve.predicted else ""
    line = f'<polyline class="line {colour}{dashed}" points="{_path(at)}"/>' if len(at) > 1 else ""
    if curve.plateau is not None and axes.y[0] <= curve.plateau <= axes.y[1]:
        y, (_, _, right, _) = axes.at(axes.x[0], curve.plateau)[1], axes.plot
        said = escape(f"{curve.name}: plateau {100 * curve.plateau:.1f} %")
        line += (
            f'<line class="line {colour} dotted" x1="{at[-1][0]:.1f}" x2="{right:.0f}" y1="{y:.1f}" y2="{y:.1f}">'
            f"<title>{said}</title></line>"
        )
    if curve.predicted:
        return line
    marks = (_mark(where, place, _said(point, cost)) for where, point in zip(at, points, strict=True))
    return line + "".join(marks)


def _mark(at: Point, place: int, said: str) -> str:
    """A shape of its own for every curve, so that colour is not all that tells them apart."""
    x, y = at
    shape = (
        f"M{x - 3:.1f},{y:.1f} a3,3 0 1,0 6,0 a3,3 0 1,0 -6,0",  # circle
        f"M{x - 3:.1f},{y - 3:.1f} h6 v6 h-6 z",  # square
        f"M{x:.1f},{y - 4:.1f} l4,4 l-4,4 l-4,-4 z",  # diamond
        f"M{x:.1f},{y - 4:.1f} l4,7 h-8 z",  # triangle
        f"M{x:.1f},{y + 4:.1f} l4,-7 h-8 z",
    )[place % MARKS]
    return f'<path class="mark s{place % COLOURS}" d="{shape}"><title>{escape(said)}</title></path>'


def _said(point: BudgetPoint, cost: str) -> str:
    seeds = f", {point.seeds} seeds" if point.seeds > 1 else ""
    return f"{point.row}: {point.accuracy.percent()} % at {cost_text(point.costs[cost])} {cost}{seeds}"


def _labels(
    axes: Axes, shown: Sequence[BudgetCurve], cost: str, places: dict[str, int], names: dict[str, str]
) -> list[str]:
    """Every curve's name beside its last point, moved apart, with a thin line where it had to move."""
    _, top, right, bottom = axes.plot
    ends = []
    for curve in shown:
        last = drawn(curve, cost)[-1]
        ends.append(axes.at(last.costs[cost], last.accuracy.value))
    at = spread([y for _, y in ends], LABEL_GAP, top + 4, bottom)
    return [
        _label(curve, (x, y), (right, moved), f"s{places[curve.name] % COLOURS}", names[curve.name])
        for curve, (x, y), moved in zip(shown, ends, at, strict=True)
    ]


def _label(curve: BudgetCurve, end: Point, to: Point, colour: str, name: str) -> str:
    """A curve's name at the right edge, level with `to`, and the line there from the curve's end."""
    (x, y), (edge, moved) = end, to
    bend = [(x + 5, y), (edge + 4, moved), (edge + 9, moved)]
    return (
        f'<polyline class="leader {colour}" points="{_path(bend)}"/>'
        f'<text class="name {colour}" x="{edge + 12:.0f}" y="{moved + 4:.1f}">'
        f"<title>{escape(curve.name)}</title>{escape(name)}</text>"
    )


def _path(points: Iterable[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
