"""The backup slot: how the end of a walk changes the nodes above it.

`mean` is the running mean of everything backed up (AlphaMath, rStar-Math), `visits` the visit-weighted mean of the
children (ReST-MCTS*), `max` the best child. Searches with rewards of steps (MCTS-DPO) and with counts (TVM,
Math-Shepherd) have their own backup.
"""

from __future__ import annotations

from typing import Literal

from data_gen.search.node import Node

Backup = Literal["mean", "visits", "max"]
"""Definition of Q(s). Under `visits` and `max` a node has its own value until a child was visited."""


def back_up(node: Node, value: float, how: Backup = "mean") -> None:
    """Adds one visit with `value` to `node` and to every node above it."""
    for above in node.up():
        above.visits += 1
        if how == "mean":
            above.total += value
        else:
            above.total = above.visits * _of_children(above, value, how)


def _of_children(node: Node, value: float, how: Backup) -> float:
    visited = [child for child in node.steps() if child.visits]
    if not visited:
        return value
    if how == "max":
        return max(child.q for child in visited)
    return sum(child.total for child in visited) / sum(child.visits for child in visited)


def back_up_rewards(end: Node, top: Node, gamma: float) -> None:
    """Adds one visit to every node from `end` up to `top`. Q = reward + gamma * V, where V is the mean of the
    children's Q weighted by their visits.

    An unvisited child counts once, with its reward (MCTS-DPO, arXiv 2405.00451, equations 3 and 4).
    """
    for node in end.up():
        children = node.steps()
        weights = [max(1, child.visits) for child in children]
        worths = [child.q if child.visits else child.reward for child in children]
        ahead = sum(w * q for w, q in zip(weights, worths, strict=True)) / sum(weights) if children else 0.0
        node.visits += 1
        node.total = node.visits * (node.reward + gamma * ahead)
        if node is top:
            break


def count(end: Node, value: float, draws: int = 1) -> None:
    """Counts `draws` solutions that end in `end`, each with `value`, on their whole path. A node's N and W are sums
    over the ends below it."""
    for above in end.up():
        above.visits += draws
        above.total += draws * value
