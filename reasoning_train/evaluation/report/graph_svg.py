"""The stage graph as inline SVG: columns by depth, inputs on the left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

BOX_W, BOX_H, GAP_X, GAP_Y = 158, 46, 44, 16


@dataclass(frozen=True, slots=True)
class Box:
    """One stage as it is drawn: `Box("sample", "sample", "ran", "31 s", ("base", "task.train"))`."""

    name: str
    uses: str
    state: str
    note: str
    inputs: tuple[str, ...]


def graph_svg(boxes: Mapping[str, Box]) -> str:
    """SVG of the graph; `boxes` in topological order."""
    depth: dict[str, int] = {}
    for name, box in boxes.items():
        depth[name] = 1 + max((depth[i] for i in box.inputs), default=-1)
    columns: dict[int, list[str]] = {}
    rank: dict[str, float] = {}
    for name in boxes:
        columns.setdefault(depth[name], []).append(name)
    for names in columns.values():  # a stage stands level with what it reads, so that edges cross less
        names.sort(key=lambda name: sum(rank.get(i, 0.0) for i in boxes[name].inputs) / max(1, len(boxes[name].inputs)))
        rank.update({name: row - (len(names) - 1) / 2 for row, name in enumerate(names)})
    height = max(len(names) for names in columns.values()) * (BOX_H + GAP_Y) + GAP_Y
    place = {
        name: (8 + column * (BOX_W + GAP_X), (height - len(names) * (BOX_H + GAP_Y)) / 2 + GAP_Y / 2 + row * (BOX_H + GAP_Y))
        for column, names in columns.items()
        for row, name in enumerate(names)
    }
    width = 16 + (max(columns) + 1) * (BOX_W + GAP_X) - GAP_X
    edges = [_edge(place[source], place[name]) for name, box in boxes.items() for source in box.inputs]
    shapes = [_box(box, *place[name]) for name, box in boxes.items()]
    head = (
        f'<svg viewBox="0 0 {width} {height:.0f}" style="width:100%;max-width:{width}px;height:auto" role="img" aria-label="stage graph">'
    )
    return head + "".join(edges + shapes) + "</svg>"


def _edge(start: tuple[float, float], end: tuple[float, float]) -> str:
    x1, y1, x2, y2 = start[0] + BOX_W, start[1] + BOX_H / 2, end[0], end[1] + BOX_H / 2
    middle = (x1 + x2) / 2
    return f'<path class="edge" d="M{x1:.0f},{y1:.0f} C{middle:.0f},{y1:.0f} {middle:.0f},{y2:.0f} {x2:.0f},{y2:.0f}"/>'


def _box(box: Box, x: float, y: float) -> str:
    name = box.name if len(box.name) <= 21 else box.name[:20] + "…"
    return (
        f'<g class="box {escape(box.state.replace(" ", "-"))}"><title>{escape(f"{box.name}: {box.uses}, {box.state}")}</title>'
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{BOX_W}" height="{BOX_H}" rx="7"/>'
        f'<text x="{x + 10:.0f}" y="{y + 19:.0f}" class="name">{escape(name)}</text>'
        f'<text x="{x + 10:.0f}" y="{y + 36:.0f}" class="note">{escape(box.note)}</text></g>'
    )
