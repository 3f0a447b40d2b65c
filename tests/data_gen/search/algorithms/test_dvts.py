"""DVTS: subtrees never mix, their tokens are counted, and each is a greedy walk of its own."""

from __future__ import annotations

import pytest

from data_gen.search import Expand
from data_gen.search.algorithms.dvts import Dvts
from tests.data_gen.search.algorithms.test_beam import best_of, voters
from tests.data_gen.search.toy import ToyScorer, World, distance, grow, path_of


def test_two_subtrees_by_hand() -> None:
    """Four lines in turn at the root: the first subtree sees a and b, the second c and d, and keeps c although a and b
    are better.

    Below, each sees both children of its own node: b.a and c.b win.
    """
    world = World(
        {(): dict.fromkeys("abcd", 0.25), **{(x,): {"a": 0.5, "b": 0.5} for x in "abcd"}},
        {(x, y): 1.0 for x in "abcd" for y in "ab"},
    )
    values = {
        ("a",): 0.8,
        ("b",): 0.9,
        ("c",): 0.2,
        ("d",): 0.1,
        ("b", "a"): 0.6,
        ("b", "b"): 0.5,
        ("c", "a"): 0.1,
        ("c", "b"): 0.4,
    }
    [tree] = grow(
        Dvts(subtrees=2, expand=Expand(n=2)), world, scorer=ToyScorer(values.__getitem__), gold=False, cycle=True
    )
    assert voters(tree) == {("b", "a"): pytest.approx(0.6), ("c", "b"): pytest.approx(0.4)}
    assert sum(node.draws for node in tree.nodes[1:]) == 3 * 2 * 2
    assert tree.generated_tokens == sum(len(n.token_ids) * n.draws for n in tree.nodes[1:])


def test_subtrees_on_one_node_choose_among_their_own_draws() -> None:
    """Both subtrees go to a; below it the four draws in turn are a, b | c, d, so that they part."""
    world = World({(): {"a": 1.0}, ("a",): dict.fromkeys("abcd", 0.25)}, {("a", x): 1.0 for x in "abcd"})
    values = {("a",): 0.5, **{("a", x): v for x, v in zip("abcd", (0.1, 0.9, 0.3, 0.2), strict=True)}}
    [tree] = grow(
        Dvts(subtrees=2, expand=Expand(n=2)), world, scorer=ToyScorer(values.__getitem__), gold=False, cycle=True
    )
    assert set(voters(tree)) == {("a", "b"), ("a", "c")}


def test_equal_values_go_by_the_own_draws() -> None:
    """Three letters in turn are a, b | c, a: the second subtree keeps c, its first draw, though a was made earlier by
    the first."""
    world = World({(): dict.fromkeys("abc", 1 / 3)}, {(x,): 1.0 for x in "abc"})
    [tree] = grow(
        Dvts(subtrees=2, expand=Expand(n=2)), world, scorer=ToyScorer(lambda path: 0.5), gold=False, cycle=True
    )
    assert set(voters(tree)) == {("a",), ("c",)}


def test_a_subtree_that_dies_goes_on_by_itself() -> None:
    """The first subtree's best child leads to dead ends only; it comes back to its own second best, not to the other
    subtree's."""
    world = World(
        {(): dict.fromkeys("abcd", 0.25), ("a",): {"a": 1.0}},
        {("a", "a"): None, ("b",): 1.0, ("c",): 1.0, ("d",): 1.0},
    )
    values = {("a",): 0.9, ("b",): 0.1, ("c",): 0.8, ("d",): 0.7}
    [tree] = grow(
        Dvts(subtrees=2, expand=Expand(n=2)), world, scorer=ToyScorer(values.__getitem__), gold=False, cycle=True
    )
    assert set(voters(tree)) == {("b",), ("c",)}


def test_subtrees_are_independent_and_each_follows_the_law_of_its_draws() -> None:
    """1,200 trees of two subtrees: pairs of leaves against the product of the exact laws (total variation below 0.075;
    its expectation under independence is 0.052), either leaf alone below 0.06."""
    world = World.random(3, depth=2)
    trees = grow(
        Dvts(subtrees=2, expand=Expand(n=3)), world, scorer=ToyScorer(world.value), gold=False, runs=1200, seed=1
    )
    pairs = [[path_of(tree, node) for node in tree.nodes for _ in range(node.votes)] for tree in trees]
    exact = {leaf: best_of(world, (), leaf[0], 3) * best_of(world, leaf[:1], leaf[1], 3) for leaf in world.leaves()}
    single = {leaf: sum(pair.count(leaf) for pair in pairs) / 2400 for leaf in exact}
    assert distance(single, exact) < 0.06
    unordered = [tuple(sorted(pair)) for pair in pairs]
    joint = {(x, y): exact[x] * exact[y] * (1 if x == y else 2) for x in exact for y in exact if x <= y}
    assert distance({pair: unordered.count(pair) / 1200 for pair in joint}, joint) < 0.075
