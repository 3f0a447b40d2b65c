"""The stage graph as inline SVG, in columns by depth with inputs on the left. An edge that skips columns gets a lane
between their boxes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

BOX_H, LANE_H, GAP_X, GAP_Y, EDGE = 46, 4, 28, 14, 8
NAME_W, NOTE_W, LEAST_W = 7.6, 5.9, 90
"""Widths in pixels: a character of a name, a character of a note, the narrowest box."""
LONGEST = 24
"""Most characters of a name that are shown. Hovering shows the whole name."""
SMALLEST = 0.72
"""Scale below which the graph scrolls instead, because text would be unreadable."""
SWEEPS = 3
"""Number of times that each column is sorted by its neighbour."""

Item = tuple[str, int]
"""(stage, column): the stage's box in its own column, or the lane of its outgoing edges in a later column."""


@dataclass(frozen=True, slots=True)
class Box:
    """One drawn stage: `Box("sample", "sample", "ran", "31 s", ("base", "task.train"))`."""

    name: str
    uses: str
    state: str
    note: str
    inputs: tuple[str, ...]


def graph_svg(boxes: Mapping[str, Box]) -> str:
    """SVG of the graph. `boxes` must be in topological order."""
    depth: dict[str, int] = {}
    for name, box in boxes.items():
        depth[name] = 1 + max((depth[i] for i in box.inputs), default=-1)
    routes = [_route(source, name, depth) for name, box in boxes.items() for source in box.inputs]
    columns = _sorted(_columns(boxes, depth, routes), routes)
    widths = [
        max([LEAST_W, *(_width(boxes[name]) for name, column in items if depth[name] == column)]) for items in columns
    ]
    left = [EDGE + sum(widths[:column]) + column * GAP_X for column in range(len(widths))]
    middle = {item: y for items in columns for item, y in _middles(items, depth).items()}
    height = 2 * max(y + _height(item, depth) / 2 for item, y in middle.items()) + GAP_Y
    width = left[-1] + widths[-1] + EDGE
    shapes = [
        _edge([(left[c], left[c] + widths[c], height / 2 + middle[name, c]) for name, c in route]) for route in routes
    ]
    for name, box in boxes.items():
        column = depth[name]
        shapes.append(_box(box, widths[column], left[column], height / 2 + middle[name, column] - BOX_H / 2))
    style = f"width:100%;min-width:{SMALLEST * width:.0f}px;max-width:{width}px;height:auto"
    return (
        f'<svg viewBox="0 0 {width} {height:.0f}" style="{style}" role="img" aria-label="stage '
        f'graph">{"".join(shapes)}</svg>'
    )


def _route(source: str, target: str, depth: Mapping[str, int]) -> list[Item]:
    """Items from box to box, with a lane in every column between."""
    return [*((source, column) for column in range(depth[source], depth[target])), (target, depth[target])]


def _columns(names: Iterable[str], depth: Mapping[str, int], routes: Iterable[Sequence[Item]]) -> list[list[Item]]:
    items = dict.fromkeys([*((name, depth[name]) for name in names), *(item for route in routes for item in route)])
    return [[item for item in items if item[1] == column] for column in range(1 + max(depth.values()))]


def _sorted(columns: list[list[Item]], routes: Iterable[Sequence[Item]]) -> list[list[Item]]:
    """Columns sorted so that each item is level with its neighbours, to reduce crossings of edges."""
    joined: dict[Item, set[Item]] = {}
    for route in routes:
        for one, other in pairwise(route):
            joined.setdefault(one, set()).add(other)
            joined.setdefault(other, set()).add(one)
    rank = {item: row - (len(items) - 1) / 2 for items in columns for row, item in enumerate(items)}

    def level(item: Item, beside: int) -> float:
        near = [rank[other] for other in joined.get(item, ()) if other[1] == item[1] + beside]
        return sum(near) / len(near) if near else rank[item]

    for _ in range(SWEEPS):
        for items, beside in [*((items, 1) for items in reversed(columns)), *((items, -1) for items in columns)]:
            wanted = {item: level(item, beside) for item in items}
            items.sort(key=lambda item: wanted[item])
            rank.update({item: row - (len(items) - 1) / 2 for row, item in enumerate(items)})
    return columns


def _middles(items: Sequence[Item], depth: Mapping[str, int]) -> dict[Item, float]:
    """Vertical centre of each item, in pixels below the middle of the column."""
    found, y = {}, -sum(_height(item, depth) + GAP_Y for item in items) / 2
    for item in items:
        found[item] = y + (_height(item, depth) + GAP_Y) / 2
        y += _height(item, depth) + GAP_Y
    return found


def _height(item: Item, depth: Mapping[str, int]) -> int:
    return BOX_H if depth[item[0]] == item[1] else LANE_H


def _width(box: Box) -> int:
    return 20 + round(max(NAME_W * len(_name(box)), NOTE_W * len(box.note)))


def _name(box: Box) -> str:
    return box.name if len(box.name) <= LONGEST else box.name[: LONGEST - 1] + "…"


def _edge(route: Sequence[tuple[float, float, float]]) -> str:
    """A path along (left, right, middle) of the items of a route."""
    path = f"M{route[0][1]:.0f},{route[0][2]:.0f}"
    for (_, right, y1), (left, end, y2) in pairwise(route):
        bend = (right + left) / 2
        path += f" C{bend:.0f},{y1:.0f} {bend:.0f},{y2:.0f} {left:.0f},{y2:.0f}" + (
            f" H{end:.0f}" if (left, end, y2) != route[-1] else ""
        )
    return f'<path class="edge" d="{path}"/>'


def _box(box: Box, width: float, x: float, y: float) -> str:
    return (
        '<g class="box '
        f'{escape(box.state.replace(" ", "-"))}"><title>{escape(f"{box.name}: {box.uses}, {box.state}")}</title>'
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{BOX_H}" rx="7"/>'
        f'<text x="{x + 10:.0f}" y="{y + 19:.0f}" class="name">{escape(_name(box))}</text>'
        f'<text x="{x + 10:.0f}" y="{y + 36:.0f}" class="note">{escape(box.note)}</text></g>'
    )
