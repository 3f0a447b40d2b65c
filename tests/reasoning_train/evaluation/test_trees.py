"""The summary of a set of trees, by hand."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given

from data_gen.records.trees import Tree
from reasoning_train.evaluation.trees import summarise_trees
from tests.data_gen.labelling.plant import answer, cut, plant, rollout, step, trees

GROWN = dataclasses.replace(
    plant(step("a", answer(1, draws=2), answer(0)), step("b", cut("c"))),
    generated_tokens=30,
    scored_tokens=12,
    stopped="budget",
)
"""Paths a 1 (twice), a 0 and b c: 6 + 6 + 6 + 3 tokens. The first two are equal up to their ends, the third up to `:`,
its fourth token."""
DECIDED = dataclasses.replace(
    plant(rollout("ab", 0), rollout("ab", 0), rollout("c", 0)), generated_tokens=22, stopped="decided"
)
"""No right answer, two paths of 8 tokens that are equal, one of 6 that shares nothing."""


def test_figures_by_hand() -> None:
    figures, table = summarise_trees([GROWN, DECIDED])
    assert figures == {
        "trees": 2,
        "solved": 0.5,
        "decided": 0.5,
        "nodes": (6 + 4) / 2,
        "depth": (2 + 1) / 2,
        "branching": (2 + 2 + 1 + 3) / (3 + 1),
        "generated_tokens": 26.0,
        "scored_tokens": 6.0,
        "informative_siblings": 2 / 3,  # those of the root and below a; the probe's rollouts are all wrong
        "shared_tokens": (12 + 4 + 0 + 16 + 0) / (21 + 22),
        "stopped": {"budget": 1, "decided": 1},
    }
    assert table["columns"][-2:] == ["shared tokens", "stopped"] and table["rows"][0][-2:] == [
        "74.4%",
        "budget 1, decided 1",
    ]


def test_no_trees_give_no_figures() -> None:
    figures, table = summarise_trees([])
    assert figures == {"trees": 0, "stopped": {}}
    assert table["rows"] == [["0", *[""] * 9]]


def test_what_was_never_verified_or_compared_is_absent() -> None:
    """A single path whose end cannot be verified: nothing was solved or not, and no siblings told anything apart."""
    unverified = plant(step("a", answer("x", None)))
    figures, table = summarise_trees([unverified])
    assert figures.keys().isdisjoint({"solved", "informative_siblings"}) and figures["nodes"] == 3
    assert table["rows"][0][1] == table["rows"][0][7] == ""
    known = plant(step("a", answer(1)))
    assert summarise_trees([unverified, known])[0]["solved"] == 1.0


@given(trees)
def test_shared_tokens_are_those_whose_prefix_two_paths_have(tree: Tree) -> None:
    """Against counting every prefix of every path."""
    inner = {node.parent for node in tree.nodes}
    paths = [
        tuple(token for step in tree.path(end) for token in step.token_ids)
        for end in tree.nodes[1:]
        if end.node not in inner
        for _ in range(end.draws)
    ]
    prefixes = [path[:i] for path in paths for i in range(1, len(path) + 1)]
    shared = sum(prefixes.count(prefix) > 1 for prefix in prefixes)
    assert summarise_trees([tree])[0]["shared_tokens"] == pytest.approx(shared / len(prefixes) if prefixes else 0.0)
