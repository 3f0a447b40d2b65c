"""One curve as inline SVG, with axes, round ticks and a mark at the last value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 340, 186, 62, 40, 10, 14

Point = tuple[float, float]


def chart_svg(points: Sequence[Point], label: str) -> str:
    """SVG of a line through (step, value) points. Points that are not finite are left out."""
    shown = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    if not shown:
        return ""
    (x0, x1), (y0, y1) = _span([x for x, _ in shown]), _span([y for _, y in shown])

    def at(x: float, y: float) -> Point:
        return LEFT + (x - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - (y - y0) / (y1 - y0) * (
            HEIGHT - BOTTOM - TOP
        )

    line = " ".join("{:.1f},{:.1f}".format(*at(x, y)) for x, y in shown)
    marks = [_y_tick(value, at(x0, value)[1]) for value in ticks(y0, y1)] + [
        _x_tick(value, at(value, y0)[0]) for value in ticks(x0, x1)
    ]
    last_x, last_y = at(*shown[-1])
    dot = f'<circle class="last" cx="{last_x:.1f}" cy="{last_y:.1f}" r="3"/>'
    head = (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'aria-label="{escape(label)} over steps">'
    )
    return f'{head}{_axes()}{"".join(marks)}<polyline class="curve" points="{line}"/>{dot}</svg>'


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Two to `most` round values, 1, 2 or 5 times a power of ten apart, from `low` to `high`: 250 and 490 give 250,
    300, ... 450."""
    exponent = math.floor(math.log10((high - low) / most))
    steps = (factor * 10.0 ** (exponent + more) for more in (0, 1) for factor in (1, 2, 5))
    for step in steps:
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            return [number * step for number in range(first, last + 1)]
    return [low, high]


def _span(values: Sequence[float]) -> Point:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _axes() -> str:
    bottom = HEIGHT - BOTTOM
    path = f'<path class="axis" d="M{LEFT},{TOP} V{bottom} H{WIDTH - RIGHT}"/>'
    return (
        f'{path}<text class="tick" x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 6}" '
        'text-anchor="middle">step</text>'
    )


def _y_tick(value: float, y: float) -> str:
    grid = f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return f'{grid}<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>'


def _x_tick(value: float, x: float) -> str:
    bottom = HEIGHT - BOTTOM
    mark = f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}"/>'
    return f'{mark}<text class="tick" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{value:g}</text>'
