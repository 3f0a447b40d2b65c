"""A stored tree's final paths as ballots."""

from __future__ import annotations

import math

from data_gen.errors import UserError
from data_gen.records.scales import Scale, as_weight
from data_gen.records.trees import Tree, TreeNode
from data_gen.search.votes.base import Ballot, ScoreName


def ballots(tree: Tree, score: ScoreName = "search") -> list[Ballot[TreeNode]]:
    """The final paths that have an answer, in order of creation. UserError if a step that the score needs has no
    value."""
    return [
        Ballot(leaf, leaf.votes, _score(tree, leaf, score))
        for leaf in tree.nodes
        if leaf.votes and leaf.terminal == "answer"
    ]


def _score(tree: Tree, leaf: TreeNode, score: ScoreName) -> float:
    if score == "search":
        return leaf.weight / leaf.votes
    steps = [leaf] if score == "last" else tree.path(leaf)
    values = [as_weight(step.value, Scale(tree.scale)) for step in steps if step.value is not None]
    if len(values) < len(steps):
        raise UserError(
            f"vote.score is {score!r}, but a step of the tree of {tree.problem_id!r} has no value. Use `score: "
            "search`, or a search that scores every step."
        )
    return {"last": values[-1], "min": min(values), "prod": math.prod(values), "mean": sum(values) / len(values)}[score]
