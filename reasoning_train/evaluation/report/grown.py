"""Selects the search trees that the page shows and describes them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_gen.labelling.reach import reach
from data_gen.records.trees import Tree, read_trees
from reasoning_train.evaluation.report.bars_svg import bars_svg
from reasoning_train.evaluation.report.tree_svg import steps, tree_svg
from reasoning_train.store.rows import CorruptRows, Rows

SCANNED_TREES = 200
"""Trees that are scanned, so that the page takes seconds for any number of trees."""


@dataclass(frozen=True, slots=True)
class TreeView:
    """One tree on the page."""

    title: str
    about: str
    question: str
    svg: str


def tree_views(artifact: Path, manifest: Mapping[str, Any]) -> tuple[TreeView, ...]:
    """The tree with the most informative forks and an unsolved tree, if the artifact holds trees. Empty if they cannot
    be read; the stages that read them report that."""
    outputs = [name for name, output in manifest.get("outputs", {}).items() if output["kind"] == "trees"]
    try:
        rows = itertools.chain.from_iterable(Rows(artifact / name) for name in outputs)
        return tuple(_view(tree) for tree in _pick(itertools.islice(read_trees(rows), SCANNED_TREES)))
    except CorruptRows:
        return ()


def labels_view(manifest: Mapping[str, Any]) -> tuple[str, str] | None:
    """(title, svg) of the histogram among the metrics of a labelling stage."""
    labels = manifest.get("metrics", {}).get("labels")
    if not labels:
        return None
    return labels["title"], bars_svg([(name, count) for name, count in labels["bars"]], labels["title"])


def _pick(trees: Iterable[Tree]) -> list[Tree]:
    best, most, unsolved = None, 0, None
    for tree in trees:
        forks = _forks(tree)
        if forks > most:
            best, most = tree, forks
        if unsolved is None and {node.outcome for node in tree.nodes[1:] if node.terminal} == {0.0}:
            unsolved = tree
    return [tree for tree in (best, unsolved) if tree is not None]


def _forks(tree: Tree) -> int:
    """Number of nodes where some drawn steps lead to a right end and others only to wrong ones; 0 if no right end is
    drawn."""
    found, below = reach(tree), steps(tree)
    if not any(child.outcome == 1.0 for children in below.values() for child in children):
        return 0
    families = ([found[child.node] for child in children] for children in below.values())
    return sum(
        any(one.right for one in family) and any(one.wrong and not one.right for one in family) for family in families
    )


def _view(tree: Tree) -> TreeView:
    ends = [node for node in tree.nodes[1:] if node.terminal]
    right = sum(node.outcome == 1.0 for node in ends)
    about = [f"{len(tree.nodes)} nodes", f"{right} of {len(ends)} ends right", f"values on scale {tree.scale}"]
    about += [f"scorer {tree.scorer}"] if tree.scorer else []
    about += [f"stopped: {tree.stopped}", f"{tree.generated_tokens:,} tokens drawn"]
    return TreeView(f"{tree.problem_id}, tree {tree.sample}", " · ".join(about), tree.root.text.strip(), tree_svg(tree))
