"""Votes on one pool by hand: the best score is right, most and the greatest sum are wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from data_gen.measures.steps import Steps
from data_gen.records.trees import TreeNode
from data_gen.search.votes import VOTES, Ballot, elect
from data_gen.search.votes.subsets import elect_among
from tests.known_answers.cases import Settings, case


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


SETTINGS: dict[str, list[dict[str, Any]]] = {
    "top_k": [{"k": 1}, {"k": 3}, {"part": 0.25, "of": "fewest"}, {"k": 3, "of": "fewest"}, {"k": 2, "by": "score"}],
    "filtered": [{"bar": 0.25}, {"bar": 0.9}, {"bar": 0.9, "otherwise": "majority"}],
    "first_accepted": [{"bar": 0.25}, {"bar": 0.4}],
    "gated": [{"bar": 0.6, "otherwise": "argmax"}, {"bar": 0.9, "otherwise": "draw"}],
    "abstaining": [
        {"vote": "majority", "bar": 0.6},
        {"vote": "majority", "bar": 0.8},
        {"vote": "argmax", "by": "score", "bar": 0.4},
    ],
}


@case("vote", *SETTINGS)
def choosy_votes(name: str) -> Settings:
    """(choice, accuracy, abstained, confidence) of the whole pool and of 3 of 5 paths, under several settings. 7 has
    one step, 8 has three, 8.0 has two."""
    steps = {Steps(): {"steps": 1.0}}, {Steps(): {"steps": 3.0}}, {Steps(): {"steps": 2.0}}
    cast = [replace(one, measured=own) for one, own in zip(CAST, steps, strict=True)]
    rules = [VOTES.get(name).model_validate({"uses": name, **setting}) for setting in SETTINGS[name]]
    found = [[elect(cast, rule, float, "p"), elect_among(cast, 1, 3, rule, float, "p")] for rule in rules]
    return Settings(
        [[one.leaf and one.leaf.node, one.accuracy, one.abstained, one.confidence] for one in pair] for pair in found
    )
