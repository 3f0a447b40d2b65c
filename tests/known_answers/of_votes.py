"""Votes on one pool by hand: the best score is right, most and the greatest sum are wrong."""

from __future__ import annotations

from typing import Any

from data_gen.records.trees import TreeNode
from data_gen.search.votes import VOTES, Ballot, elect
from data_gen.search.votes.subsets import elect_among
from tests.known_answers.cases import case


def _ballot(node: int, answer: str, outcome: float, copies: int, score: float) -> Ballot[TreeNode]:
    ids = {"parent": 0, "depth": 1, "text": answer, "token_ids": (node,)}
    leaf = TreeNode(node=node, answer=answer, outcome=outcome, terminal="answer", **ids)
    return Ballot(leaf, copies, score)


CAST = [_ballot(1, "7", 1.0, 1, 0.5), _ballot(2, "8", 0.0, 2, 0.2), _ballot(3, "8.0", 0.0, 1, 0.3)]


@case("vote", "argmax", "draw", "majority", "weighted")
def votes(name: str) -> list[Any]:
    """(choice, accuracy) of the whole pool by text and by number, and accuracies of subsets of 1 to 5 of 5 paths."""
    rule = VOTES.get(name).model_validate({"uses": name})
    whole = [elect(CAST, rule, class_of, "p") for class_of in (str, float)]
    among = [elect_among(CAST, 1, n, rule, float, "p").accuracy for n in range(1, 6)]
    return [[[one.leaf.node if one.leaf else None, one.accuracy] for one in whole], among]
