"""ReST-MCTS*: a trace by hand, conserved counts, exact answer rates, the stop."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.records.scales import Scale
from data_gen.search import Expand
from data_gen.search.algorithms.rest_mcts import RestMcts
from tests.data_gen.search.algorithms.test_mcts import FORK, containing_right, visits, worlds
from tests.data_gen.search.toy import Path, ToyScorer, World, grow, path_of

VALUES = {("a",): 0.4, ("b",): 0.3, ("a", "a"): 0.6, ("a", "b"): 0.2}


def progress(values: dict[Path, float]) -> ToyScorer:
    return ToyScorer(values.__getitem__, Scale.PROGRESS)


def test_a_trace_by_hand() -> None:
    """One rollout step, half and half. 1: root; best a, ahead of it aa (.6): .5. 2: b (unvisited); its answer ends
    there at .3, root (.5 + .3) / 2. 3: a; best aa, ahead of it its answer (.6): .6; V(a) = .6, V(root) = (2 * .6 + .3)
    / 3. 4: ab (unvisited): answer .2; V(a) = (.6 + .2) / 2, V(root) = (3 * .4 + .3) / 4. 5: aa: answer .6; V(a) = (2 *
    .6 + .2) / 3, V(root) = (4 * V(a) + .3) / 5."""
    search = RestMcts(iterations=9, roll_steps=1, expand=Expand(n=2))
    [tree] = grow(search, FORK, scorer=progress(VALUES), gold=False, cycle=True)
    made = [(node.solution, node.source) for node in tree.nodes[1:]]
    assert made == [
        ("a\n", "policy"),
        ("b\n", "policy"),
        ("a\na\n", "lookahead"),
        ("b\nAnswer: 0", "policy"),
        ("a\na\n", "policy"),
        ("a\nb\n", "policy"),
        ("a\na\nAnswer: 1", "lookahead"),
        ("a\nb\nAnswer: 0", "policy"),
        ("a\na\nAnswer: 1", "policy"),
    ]
    assert visits(tree) == {
        "": 5,
        "a": 4,
        "b": 1,
        "b Answer: 0": 1,
        "a a": 2,
        "a b": 1,
        "a b Answer: 0": 1,
        "a a Answer: 1": 1,
    }
    a = (2 * 0.6 + 0.2) / 3
    assert {path_of(tree, n): n.q for n in tree.nodes if n.visits and not n.terminal} == pytest.approx(
        {(): (4 * a + 0.3) / 5, ("a",): a, ("b",): 0.3, ("a", "a"): 0.6, ("a", "b"): 0.2}
    )
    votes = {path_of(tree, node): node.weight for node in tree.nodes if node.votes}
    assert (
        votes == pytest.approx({("b",): 0.3 / 1.1, ("a", "b"): 0.2 / 1.1, ("a", "a"): 0.6 / 1.1})
        and tree.stopped == "exhausted"
    )


def test_the_mix_takes_the_best_that_the_rollout_met() -> None:
    """.25 * .4 + .75 * .9 for a: its rollout meets .9 and then .1; without rollout steps a is worth itself."""
    world = World({(): {"a": 1.0}, ("a",): {"a": 1.0}, ("a", "a"): {"a": 1.0}}, {("a", "a", "a"): 1.0})
    values = {("a",): 0.4, ("a", "a"): 0.9, ("a", "a", "a"): 0.1}
    for steps, expected in ((2, 0.25 * 0.4 + 0.75 * 0.9), (0, 0.4)):
        [tree] = grow(RestMcts(iterations=1, roll_steps=steps, mix=0.75), world, scorer=progress(values), gold=False)
        assert tree.nodes[1].q == pytest.approx(expected)


def test_the_rollout_goes_on_from_the_best_of_its_draws() -> None:
    world = World({(): {"c": 1.0}, ("c",): {"a": 0.5, "b": 0.5}}, {("c", "a"): 0.0, ("c", "b"): 1.0})
    values = {("c",): 0.0, ("c", "a"): 0.2, ("c", "b"): 0.5}
    [tree] = grow(RestMcts(iterations=1, roll_width=2), world, scorer=progress(values), gold=False, cycle=True)
    assert [node.solution for node in tree.nodes if node.source == "lookahead"] == [
        "c\na\n",
        "c\nb\n",
        "c\nb\nAnswer: 1",
    ]


def test_a_good_answer_ends_the_search_and_a_good_step_does_not() -> None:
    values = {**VALUES, ("a",): 0.95, ("a", "a"): 0.92}
    [tree] = grow(RestMcts(expand=Expand(n=2)), FORK, scorer=progress(values), gold=False, cycle=True)
    assert tree.stopped == "answered" and max(n.value or 0 for n in tree.nodes if n.terminal and n.votes) == 0.92
    [whole] = grow(RestMcts(stop_at=None, expand=Expand(n=2)), FORK, scorer=progress(values), gold=False, cycle=True)
    assert whole.stopped == "exhausted"


@settings(max_examples=25, deadline=None)
@given(worlds, st.integers(1, 20), st.integers(0, 3))
def test_counts_are_conserved_and_v_is_the_weighted_mean(world: World, iterations: int, roll: int) -> None:
    """A node's visits are those of its children and, but for the root, the one before it had any."""
    search = RestMcts(iterations=iterations, roll_steps=roll, scale=Scale.P, stop_at=None, expand=Expand(n=3))
    [tree] = grow(search, world, scorer=ToyScorer(world.value), gold=False)
    for node in tree.nodes:
        below = [child for child in node.steps() if child.visits]
        if below:
            assert node.visits - sum(child.visits for child in below) in ((0,) if node is tree.root else (0, 1))
            assert node.q == pytest.approx(sum(c.visits * c.q for c in below) / sum(c.visits for c in below))


def test_exact_progress_finds_what_there_is_to_find() -> None:
    """Values say how far along the best way a step is, so an answer worth 1 is right. Two draws a node: the search
    stops at one exactly where its draws hold one: 400 trees within 4 standard errors of the enumerated chance."""
    world = World.random(4, right=0.15)
    worth = {
        p: float(any(world.right[leaf] for leaf in world.leaves() if leaf[: len(p)] == p))
        for p in [*world.tree, *world.right]
    }
    values = {path: len(path) / 3 if alive else 0.0 for path, alive in worth.items()}
    exact = containing_right(world, 2)
    trees = grow(RestMcts(iterations=100, expand=Expand(n=2)), world, scorer=progress(values), gold=False, runs=400)
    right = sum(tree.stopped == "answered" for tree in trees) / 400
    assert abs(right - exact) < 4 * math.sqrt(exact * (1 - exact) / 400)
    assert all(any(n.outcome == 1.0 and n.votes for n in tree.nodes) == (tree.stopped == "answered") for tree in trees)
