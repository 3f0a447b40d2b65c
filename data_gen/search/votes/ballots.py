"""A stored tree's final paths as ballots."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from data_gen.errors import UserError
from data_gen.measures.base import Measure
from data_gen.records.scales import Scale, as_weight
from data_gen.records.trees import Tree, TreeNode
from data_gen.search.votes.base import Ballot, ScoreName, Vote

Measured = Callable[[TreeNode], Mapping[Measure, Mapping[str, float]]]
"""The columns of a vote's measures, of the path that ends in a leaf."""


def ballots(tree: Tree, vote: Vote, measured: Measured = lambda leaf: {}) -> list[Ballot[TreeNode]]:
    """The final paths that have an answer, in order of creation, with what the vote reads of them. UserError if a step
    that the score needs has no value, or a value that no bar can be compared with."""
    if vote.has_bar and (vote.counted == "search" or tree.scale == Scale.RANKING):
        raise UserError(
            f"vote {vote.uses!r} compares scores with a bar, but those of the tree of {tree.problem_id!r} mean "
            f"something within one problem only ({_relative(tree, vote)}). Calibrate the verifier, or name the score "
            "of a scorer whose values are probabilities: `score: last`."
        )
    return [
        Ballot(leaf, leaf.votes, _score(tree, leaf, vote.counted), measured(leaf))
        for leaf in tree.nodes
        if leaf.votes and leaf.terminal == "answer"
    ]


def _relative(tree: Tree, vote: Vote) -> str:
    return "shares of the search's votes" if vote.counted == "search" else f"scale {tree.scale!r}"


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
