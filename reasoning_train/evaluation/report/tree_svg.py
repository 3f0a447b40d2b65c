"""One search tree as inline SVG with its root on the left. Each step shows its text, visits, Q and value; ends are
coloured by outcome."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from data_gen.records.trees import Tree, TreeNode

BOX_W, BOX_H, GAP_X, GAP_Y = 196, 42, 30, 8
CHARACTERS = 26
"""Most characters of a step's text in its box. Hovering shows the whole text."""
LARGEST = 28
"""Most nodes that are drawn, root included; more would be unreadable."""

Children = Mapping[int, list[TreeNode]]


def tree_svg(tree: Tree) -> str:
    """SVG of the most important steps. Steps that are left out are counted at their parent."""
    below = steps(tree)
    shown = _shown(tree, below)
    drawn = {
        number: [node for node in children if node.node in shown]
        for number, children in below.items()
        if number in shown
    }
    place = _places(drawn)
    answer = {node.node for node in tree.path(best)} if (best := _answer(tree)) is not None else set()
    edges = [
        _edge(place[number], place[node.node], node.node in answer)
        for number, children in drawn.items()
        for node in children
    ]
    boxes = [
        _box(tree.nodes[number], place[number], len(below[number]) - len(drawn[number])) for number in sorted(shown)
    ]
    width, height = max(x for x, _ in place.values()) + BOX_W + 4, max(y for _, y in place.values()) + BOX_H + 4
    style = f"width:100%;max-width:{width:.0f}px;height:auto"
    head = f'<svg viewBox="0 0 {width:.0f} {height:.0f}" style="{style}" role="img" aria-label="search tree">'
    return head + "".join(edges + boxes) + "</svg>"


def steps(tree: Tree) -> Children:
    """Each node's children made by the search. Rollouts are hidden, because they appear in their node's counts, unless
    the tree has nothing else."""
    below = tree.children()
    hidden = ("rollout", "lookahead") if any(node.source == "policy" for node in tree.nodes[1:]) else ("lookahead",)
    return {number: [node for node in children if node.source not in hidden] for number, children in below.items()}


def _shown(tree: Tree, below: Children) -> set[int]:
    """The root, the paths to the answer and to one right and one wrong end, then the most visited nodes."""
    ends = [node for children in below.values() for node in children if node.terminal]
    firsts = [next((node for node in ends if node.outcome == outcome), None) for outcome in (1.0, 0.0)]
    shown = {0}
    for end in (_answer(tree), *firsts):
        path = {node.node for node in tree.path(end)} if end is not None and end in ends else set()
        if len(shown | path) <= LARGEST:
            shown |= path
    edge = [node for number in shown for node in below[number] if node.node not in shown]
    while edge and len(shown) < LARGEST:
        most = max(edge, key=lambda node: (node.visits, node.draws, node.mc_total, -node.node))
        edge.remove(most)
        shown.add(most.node)
        edge += below[most.node]
    return shown


def _answer(tree: Tree) -> TreeNode | None:
    best = max(tree.nodes, key=lambda node: node.weight)
    return best if best.weight > 0 else None


def _places(drawn: Children) -> dict[int, tuple[float, float]]:
    """Top left corners of nodes: columns by depth in the drawing, each node level with the middle of its children."""
    place: dict[int, tuple[float, float]] = {}
    rows = 0

    def put(number: int, column: int) -> float:
        """Place a node and all nodes below it; returns its y coordinate."""
        nonlocal rows
        children = drawn[number]
        if children:
            ys = [put(child.node, column + 1) for child in children]
            y = (ys[0] + ys[-1]) / 2
        else:
            y = 2.0 + rows * (BOX_H + GAP_Y)
            rows += 1
        place[number] = (2.0 + column * (BOX_W + GAP_X), y)
        return y

    put(0, 0)
    return place


def _edge(start: tuple[float, float], end: tuple[float, float], answer: bool) -> str:
    x1, y1, x2, y2 = start[0] + BOX_W, start[1] + BOX_H / 2, end[0], end[1] + BOX_H / 2
    middle = (x1 + x2) / 2
    path = f"M{x1:.0f},{y1:.0f} C{middle:.0f},{y1:.0f} {middle:.0f},{y2:.0f} {x2:.0f},{y2:.0f}"
    return f'<path class="branch{" answer" if answer else ""}" d="{path}"/>'


def _box(node: TreeNode, place: tuple[float, float], more: int) -> str:
    x, y = place
    text = " ".join(node.text.split())
    short = text if len(text) <= CHARACTERS else text[: CHARACTERS - 1] + "…"
    return (
        f'<g class="node {_kind(node)}"><title>{escape(node.text.strip())}</title>'
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{BOX_W}" height="{BOX_H}" rx="6"/>'
        f'<text class="step" x="{x + 8:.0f}" y="{y + 17:.0f}">{escape(short)}</text>'
        f'<text class="note" x="{x + 8:.0f}" y="{y + 33:.0f}">{escape(_note(node, more))}</text></g>'
    )


def _kind(node: TreeNode) -> str:
    if not node.terminal:
        return "error" if node.steps_ok is False else "open"
    return {1.0: "right", 0.0: "wrong"}.get(node.outcome if node.outcome is not None else -1.0, "unknown")


def _note(node: TreeNode, more: int) -> str:
    """`N 5 · Q 0.62 · V 0.40`, with `mc 3/8` instead of V if there were rollouts, then the number of steps left out or
    of equal draws."""
    facts = [f"N {node.visits}"] if node.visits else []
    facts += [f"Q {node.total / node.visits:.2f}"] if node.visits else []
    value = [f"V {node.value:.2f}"] if node.value is not None else []
    facts += [f"mc {node.mc_correct:g}/{node.mc_total:g}"] if node.mc_total else value
    facts += ["cut"] if node.terminal == "limit" else []
    draws = [f"×{node.draws}"] if node.draws > 1 else []
    facts += [f"+{more} more"] if more else draws  # there is no room for both
    return " · ".join(facts)
