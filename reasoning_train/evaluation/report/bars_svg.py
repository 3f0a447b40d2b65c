"""A histogram as inline SVG: one horizontal bar per label, with its count."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH, LABEL_W, COUNT_W, ROW_H, BAR_H = 460, 110, 70, 20, 12


def bars_svg(bars: Sequence[tuple[str, int]], title: str) -> str:
    """SVG of (label, count) bars, in order; empty without bars."""
    if not bars:
        return ""
    most = max(1, *(count for _, count in bars))
    rows = [
        _bar(label, count, (WIDTH - LABEL_W - COUNT_W) * count / most, 4 + i * ROW_H)
        for i, (label, count) in enumerate(bars)
    ]
    height = 8 + len(bars) * ROW_H
    head = (
        f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
        f'aria-label="{escape(title)}">'
    )
    return head + "".join(rows) + "</svg>"


def _bar(label: str, count: int, width: float, y: float) -> str:
    return (
        f'<text class="tick" x="{LABEL_W - 8}" y="{y + 12:.0f}" text-anchor="end">{escape(label)}</text>'
        f'<rect class="bar" x="{LABEL_W}" y="{y + 2:.0f}" width="{width:.1f}" height="{BAR_H}" rx="2"/>'
        f'<text class="tick" x="{LABEL_W + width + 6:.1f}" y="{y + 12:.0f}">{count:,}</text>'
    )
