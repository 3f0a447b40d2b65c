"""What a strategy costs on a stored tree: tokens, and completions asked of the policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data_gen.records.trees import Tree, TreeNode
from data_gen.search import SEARCHES
from data_gen.search.votes.base import Ballot, Vote
from data_gen.search.votes.charged import drawn_of


@dataclass(frozen=True, slots=True)
class Cost:
    """What a strategy costs on one tree."""

    generated: float
    scored: float
    calls: float | None
    """None if the tree does not say."""


def charged(tree: Tree, cast: Sequence[Ballot[TreeNode]], vote: Vote, n: int | None, size: int) -> Cost:
    """The whole tree, or the share of a pool's tokens that is drawn. `size`: paths of the pool, dead ones included."""
    if not SEARCHES.get(tree.search).independent:
        return Cost(tree.generated_tokens, tree.scored_tokens, tree.requests or None)
    stopping = [ballot for ballot in cast if vote.stops(ballot.score)]
    number, whole = sum(ballot.copies for ballot in stopping), n or size
    if not size:
        return Cost(tree.generated_tokens, tree.scored_tokens, 0.0)
    asked = tree.requests or size  # more than the paths where a scorer draws rollouts
    if not number:
        share = whole / size
        return Cost(share * tree.generated_tokens, share * tree.scored_tokens, whole * asked / size)
    drawn = drawn_of(size, number, whole)
    ends = sum(ballot.copies * tokens_of(tree, ballot.leaf) for ballot in stopping)
    every = sum(tokens_of(tree, leaf) for leaf in (*final_paths(tree), *dead_ends(tree)))
    share = (drawn.stopping * ends + drawn.other * (every - ends)) / every if every else 0.0
    paths = drawn.stopping * number + drawn.other * (size - number)
    return Cost(share * tree.generated_tokens, share * tree.scored_tokens, paths * asked / size)


def tokens_of(tree: Tree, leaf: TreeNode) -> int:
    """Tokens of the path that ends in a leaf."""
    return sum(len(step.token_ids) for step in tree.path(leaf))


def dead_ends(tree: Tree) -> list[TreeNode]:
    """Ends of drawn paths without an answer, repeated per draw (for trees with independent paths). Completions that a
    scorer drew are none."""
    ends = (node for node in tree.nodes if node.terminal in ("invalid", "limit") and node.source != "rollout")
    return [node for node in ends for _ in range(node.draws)]


def final_paths(tree: Tree) -> list[TreeNode]:
    """Leaves of the final paths, each repeated once per path."""
    return [leaf for leaf in tree.nodes for _ in range(leaf.votes)]
