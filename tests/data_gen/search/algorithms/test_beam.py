"""Step beam: hand traces, dead ends, and the exact law of a beam of one place."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest

from data_gen.records.scales import Scale
from data_gen.search import Expand, SearchTree
from data_gen.search.algorithms.beam import Beam
from tests.data_gen.search.toy import Path, ToyScorer, World, distance, grow, path_of

HALVES = {"a": 0.5, "b": 0.5}
TWO_STEPS = World(
    {(): {"a": 0.4, "b": 0.3, "c": 0.3}, **{(x,): HALVES for x in "abc"}},
    {("a", "a"): 0.0, ("a", "b"): 1.0, ("b", "a"): 1.0, ("b", "b"): 0.0, ("c", "a"): 0.0, ("c", "b"): 0.0},
)
VALUES = {("a",): 0.6, ("b",): 0.5, ("c",): 0.4, ("a", "a"): 0.3, ("a", "b"): 0.2, ("b", "a"): 0.9, ("b", "b"): 0.1}


def voters(tree: SearchTree) -> dict[Path, float]:
    """Letters of every final path -> its weight."""
    return {path_of(tree, node): node.weight for node in tree.nodes if node.votes}


def test_two_places_by_hand() -> None:
    """Of a .6, b .5, c .4 the first two stay; of aa .3, ab .2, ba .9, bb .1 ba and aa; then both answer with their
    scores."""
    [tree] = grow(
        Beam(beams=2, expand=Expand(n=3)), TWO_STEPS, scorer=ToyScorer(VALUES.__getitem__), gold=False, cycle=True
    )
    assert voters(tree) == {("b", "a"): pytest.approx(0.75), ("a", "a"): pytest.approx(0.25)}
    assert [path_of(tree, n) for n in tree.nodes[1:4]] == [("a",), ("b",), ("c",)] and not tree.nodes[3].children
    assert [node.draws for node in tree.nodes[1:4]] == [2, 2, 2]
    # 6 first steps, 3 second steps below each of two places, then 3 times the answer line below each of two.
    drawn = [(1, 6), (2, 6), (3, 6)]
    assert [(d, sum(n.draws for n in tree.nodes if n.depth == d)) for d, _ in drawn] == drawn
    assert tree.generated_tokens == sum(len(n.token_ids) * n.draws for n in tree.nodes[1:])


def test_an_answer_leaves_the_beam_and_keeps_its_place() -> None:
    """b answers at once; the other place goes on alone, and with one place left only the best of its children stays."""
    world = World({(): HALVES, ("a",): HALVES}, {("a", "a"): 1.0, ("a", "b"): 0.0, ("b",): 1.0})
    values = {("a",): 0.5, ("b",): 0.6, ("a", "a"): 0.2, ("a", "b"): 0.4}
    [tree] = grow(
        Beam(beams=2, expand=Expand(n=2)), world, scorer=ToyScorer(values.__getitem__), gold=False, cycle=True
    )
    assert voters(tree) == {("b",): pytest.approx(0.6), ("a", "b"): pytest.approx(0.4)}
    after = [node for node in tree.nodes if node.depth == 3]
    assert [path_of(tree, node) for node in after] == [("a", "b")] and tree.stopped == "answered"


def test_a_dead_end_takes_no_place() -> None:
    """a is the best by far but ends without an answer: SBS(1, 2) goes on with b and answers; a is not even scored."""
    world = World({(): HALVES}, {("a",): None, ("b",): 1.0})
    scorer = ToyScorer({("a",): 0.99, ("b",): 0.1}.__getitem__)
    [tree] = grow(Beam(beams=1, expand=Expand(n=2)), world, scorer=scorer, gold=False, cycle=True)
    assert voters(tree) == {("b",): 1.0} and ("a",) not in scorer.scored
    assert [node.terminal for node in tree.nodes if node.text == "a"] == ["invalid"]


def test_when_a_generation_dies_the_best_that_was_cut_comes_back() -> None:
    """a is kept and both its children are dead; b, cut before, returns and answers."""
    world = World({(): HALVES, ("a",): HALVES}, {("a", "a"): None, ("a", "b"): None, ("b",): 1.0})
    [tree] = grow(
        Beam(beams=1, expand=Expand(n=2)),
        world,
        scorer=ToyScorer({("a",): 0.9, ("b",): 0.1}.__getitem__),
        gold=False,
        cycle=True,
    )
    assert voters(tree) == {("b",): 1.0}


def test_all_dead_and_never_ending_policies_end_without_votes() -> None:
    dead = World({(): HALVES}, {("a",): None, ("b",): None})
    for world, depth in ((dead, 16), (World.random(0, depth=4), 3)):
        [tree] = grow(
            Beam(beams=2, expand=Expand(n=2), max_depth=depth), world, scorer=ToyScorer(lambda path: 0.5), gold=False
        )
        assert not any(node.votes for node in tree.nodes) and tree.stopped == "exhausted"
        assert max(node.depth for node in tree.nodes) <= depth


@pytest.mark.parametrize("seed", range(8))
def test_with_exact_values_it_finds_a_right_answer(seed: int) -> None:
    """P(correct) of a node is the mean of its children's, so the best child of a node above 0 is above 0, down to a
    leaf of value 1."""
    world = World.random(seed, depth=4, right=0.05)
    [tree] = grow(Beam(beams=1, expand=Expand(n=3)), world, scorer=ToyScorer(world.value), gold=False, cycle=True)
    [(path, weight)] = voters(tree).items()
    assert world.right[path] == 1.0 and weight == 1.0


def test_one_place_follows_the_law_of_the_best_of_its_draws() -> None:
    """SBS(1, 3): at every node P(child) = F(v)^3 - F(v-)^3. Over 1,200 trees and 9 leaves the total variation distance
    stays below 0.06 (its expectation is at most sqrt(9 / (2 pi 1200)) = 0.035)."""
    world = World.random(3, depth=2)
    trees = grow(Beam(beams=1, expand=Expand(n=3)), world, scorer=ToyScorer(world.value), gold=False, runs=1200, seed=1)
    found = [path for tree in trees for path in voters(tree)]
    exact = {leaf: best_of(world, (), leaf[0], 3) * best_of(world, leaf[:1], leaf[1], 3) for leaf in world.leaves()}
    assert len(found) == 1200 and sum(exact.values()) == pytest.approx(1)
    assert distance({leaf: found.count(leaf) / 1200 for leaf in exact}, exact) < 0.06


def best_of(world: World, path: Path, letter: str, n: int, value: Callable[[Path], float] | None = None) -> float:
    """P(`letter` has the greatest value (default: the exact one) among n draws), the first drawn among equals, by
    enumeration."""
    total, steps, worth = 0.0, world.tree[path], value or world.value
    for draws in itertools.product(steps, repeat=n):
        first = max(dict.fromkeys(draws), key=lambda x: worth((*path, x)))
        total += (first == letter) * math.prod(steps[x] for x in draws)
    return total


def test_rescaled_values_keep_the_beam() -> None:
    world = World.random(6, depth=3)
    trees = [
        grow(Beam(beams=2, scale=scale), world, scorer=ToyScorer(world.value), gold=False, seed=2)[0]
        for scale in (Scale.P, Scale.SIGNED)
    ]
    assert voters(trees[0]) == {path: pytest.approx(weight) for path, weight in voters(trees[1]).items()}
    assert [node.text for node in trees[0].nodes] == [node.text for node in trees[1].nodes]


def test_estimates_before_the_run() -> None:
    search = Beam(beams=3, expand=Expand(n=5), max_depth=4, lookahead=1)
    assert (search.width(), search.draws()) == (15, 120)
