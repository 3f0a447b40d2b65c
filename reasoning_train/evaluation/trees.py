"""Statistics of a set of trees: solved, depth, branching, tokens, and informative siblings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from data_gen.records.trees import Tree, TreeNode

MEANS = {
    "solved": ("solved", "verifiable"),
    "decided": ("decided", "trees"),
    "nodes": ("nodes", "trees"),
    "depth": ("depth", "trees"),
    "branching": ("children", "inner"),
    "generated_tokens": ("generated", "trees"),
    "scored_tokens": ("scored", "trees"),
    "informative_siblings": ("informative", "families"),
    "shared_tokens": ("shared", "path_tokens"),
}
"""Figure -> (what is summed, what it is divided by)."""


def summarise_trees(trees: Iterable[Tree]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(figures, the same as a text table). `solved`: share of the trees with a verifiable end that have a right one.
    `decided`: share that ended at the probe, whose solutions were all right or all wrong. `informative_siblings`: share
    of sibling sets with subtrees of both kinds. `shared_tokens`: share of the tokens of all root-to-leaf paths in a
    prefix of at least two paths. A share or mean of nothing is left out."""
    sums: Counter[str] = Counter()
    stopped: Counter[str] = Counter()
    for tree in trees:
        stopped[tree.stopped] += 1
        sums.update(_of_tree(tree))
    sums["decided"] = stopped["decided"]
    means = {name: sums[part] / sums[whole] for name, (part, whole) in MEANS.items() if sums[whole]}
    figures = {"trees": sums["trees"], **means, "stopped": dict(sorted(stopped.items()))}
    return figures, _table(figures)


def _of_tree(tree: Tree) -> dict[str, int]:
    below = tree.children()
    families = [children for children in below.values() if len(children) > 1]
    right, wrong = _reach(tree)
    ends = [node for node in tree.nodes[1:] if not below[node.node]]
    path_tokens, shared = _path_tokens(tree, ends)
    return {
        "trees": 1,
        "solved": int(right[0] > 0),
        "verifiable": int(right[0] + wrong[0] > 0),
        "nodes": len(tree.nodes),
        "depth": max((node.depth for node in ends), default=0),
        "children": sum(map(len, below.values())),
        "inner": sum(1 for children in below.values() if children),
        "generated": tree.generated_tokens,
        "scored": tree.scored_tokens,
        "families": len(families),
        "informative": sum(any(right[c.node] for c in f) and any(wrong[c.node] for c in f) for f in families),
        "path_tokens": path_tokens,
        "shared": shared,
    }


def _reach(tree: Tree) -> tuple[list[int], list[int]]:
    """For each node, the numbers of right and of wrong ends (draws) at or below it. Children come after parents, so one
    pass is enough."""
    right, wrong = ([0] * len(tree.nodes) for _ in range(2))
    inner = {node.parent for node in tree.nodes}
    for node in reversed(tree.nodes):
        if node.node not in inner:
            right[node.node] += node.draws * (node.outcome == 1.0)
            wrong[node.node] += node.draws * (node.outcome == 0.0)
        if node.parent >= 0:
            for counts in (right, wrong):
                counts[node.parent] += counts[node.node]
    return right, wrong


def _path_tokens(tree: Tree, ends: Iterable[TreeNode]) -> tuple[int, int]:
    """(number of tokens of all paths, number in a prefix that another path shares). Every draw of an end is a path."""
    ids: list[tuple[int, ...]] = [()]
    for node in tree.nodes[1:]:
        ids.append(ids[node.parent] + node.token_ids)
    paths = sorted((ids[end.node], end.draws) for end in ends if end.draws)
    # In sorted order, the path that shares the longest prefix with a path is adjacent to it.
    common = [0, *(_common(a, b) for (a, _), (b, _) in pairwise(paths)), 0]
    shared = sum(k * (len(path) if k > 1 else max(common[i : i + 2])) for i, (path, k) in enumerate(paths))
    return sum(k * len(path) for path, k in paths), shared


def _common(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _table(figures: dict[str, Any]) -> dict[str, Any]:
    columns = [
        "trees",
        "solved",
        "nodes",
        "depth",
        "branching",
        "tokens",
        "scored tokens",
        "informative siblings",
        "shared tokens",
        "stopped",
    ]
    stopped = ", ".join(f"{name} {count}" for name, count in figures["stopped"].items())

    def shown(form: str, *names: str) -> list[str]:
        return [format(figures[name], form) if name in figures else "" for name in names]

    means = shown(".1f", "nodes", "depth", "branching", "generated_tokens", "scored_tokens")
    shares = shown(".1%", "informative_siblings", "shared_tokens")
    return {
        "title": "trees, means over trees",
        "columns": columns,
        "rows": [[str(figures["trees"]), *shown(".1%", "solved"), *means, *shares, stopped]],
    }
