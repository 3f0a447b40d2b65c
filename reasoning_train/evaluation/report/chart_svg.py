"""One curve as inline SVG: axes, a few ticks, the last value."""

from __future__ import annotations

import math
from collections.abc import Sequence

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 340, 170, 62, 26, 10, 12

Point = tuple[float, float]


def chart_svg(points: Sequence[Point], label: str) -> str:
    """SVG of a line through (step, value) points; points that are not finite are left out."""
    shown = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    if not shown:
        return ""
    (x0, x1), (y0, y1) = _span([x for x, _ in shown]), _span([y for _, y in shown])

    def at(x: float, y: float) -> Point:
        return LEFT + (x - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - (y - y0) / (y1 - y0) * (HEIGHT - BOTTOM - TOP)

    line = " ".join("{:.1f},{:.1f}".format(*at(x, y)) for x, y in shown)
    ticks = [_y_tick(value, at(x0, value)[1]) for value in (y0, (y0 + y1) / 2, y1)] + [
        _x_tick(value, at(value, y0)[0]) for value in (x0, x1)
    ]
    last_x, last_y = at(*shown[-1])
    dot = f'<circle class="last" cx="{last_x:.1f}" cy="{last_y:.1f}" r="3"/>'
    head = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{label}">'
    return f'{head}{"".join(ticks)}<polyline class="curve" points="{line}"/>{dot}</svg>'


def _span(values: Sequence[float]) -> Point:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _y_tick(value: float, y: float) -> str:
    grid = f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return f'{grid}<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.2g}</text>'


def _x_tick(value: float, x: float) -> str:
    anchor = "start" if x <= LEFT + 1 else "end"
    return f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{value:g}</text>'
