"""Outcomes below each node of a tree: how many draws of the policy ended right, and how many wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from data_gen.records.trees import ROOT, Tree, TreeNode


@dataclass(slots=True)
class Reach:
    """Ends at or below one node, in draws: `Reach(right=3, wrong=1)`. Unverifiable ends are neither."""

    right: int = 0
    wrong: int = 0
    unknown: int = 0
    """Ends that cannot be verified."""

    @property
    def total(self) -> int:
        """Verified ends."""
        return self.right + self.wrong

    @property
    def rate(self) -> float:
        """Share of right ones. ZeroDivisionError if nothing below is verified."""
        return self.right / self.total


def reach(tree: Tree) -> list[Reach]:
    """For each node by its number. An inner node's counts are the sums of its children's, so its rate is their
    count-weighted mean."""
    found = [Reach() for _ in tree.nodes]
    for node in reversed(tree.nodes):  # children come after their parents
        here = found[node.node]
        if node.terminal:
            here.right += node.draws * (node.outcome == 1.0)
            here.wrong += node.draws * (node.outcome == 0.0)
            here.unknown += node.draws * (node.outcome is None)
        if node.parent != ROOT:
            above = found[node.parent]
            above.right, above.wrong, above.unknown = (
                above.right + here.right,
                above.wrong + here.wrong,
                above.unknown + here.unknown,
            )
    return found


def ends(tree: Tree) -> list[TreeNode]:
    """The nodes at which a solution ends or was cut, in order of creation."""
    return [node for node in tree.nodes[1:] if node.terminal]


class View:
    """A tree with the lookups that rules need: children and outcomes below. `View(in_steps(tree, codec))`."""

    def __init__(self, tree: Tree) -> None:
        self.tree, self.below, self.reach = tree, tree.children(), reach(tree)

    def steps(self, node: TreeNode) -> list[TreeNode]:
        """Children that the search made, without those that exist only because of a rollout."""
        return [child for child in self.below[node.node] if child.source != "rollout"]

    def answer(self) -> TreeNode | None:
        """The end with most of the search's vote (ties go to the oldest). None if there was no vote."""
        best = max(ends(self.tree), key=lambda node: node.weight, default=None)
        return best if best is not None and best.weight > 0 else None

    def inner(self) -> Iterator[TreeNode]:
        """Nodes with children, parents first."""
        return (node for node in self.tree.nodes if self.below[node.node])
