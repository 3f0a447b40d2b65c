"""REBASE: the width is dealt whole, shrinks with answers, and spreads as enumeration says."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.records.scales import Scale
from data_gen.search.algorithms.rebase import Rebase, allocate
from tests.data_gen.search.algorithms.test_beam import voters
from tests.data_gen.search.algorithms.test_mcts import worlds
from tests.data_gen.search.toy import Path, ToyScorer, World, distance, grow, letters_of, path_of

nodes = st.lists(st.tuples(st.floats(-1, 1), st.integers(1, 5)), min_size=1, max_size=9)


@given(nodes, st.integers(0, 40), st.floats(0.01, 10))
def test_the_width_is_dealt_whole(dealt: list[tuple[float, int]], width: int, temperature: float) -> None:
    values, copies = [v for v, _ in dealt], [k for _, k in dealt]
    shares = allocate(values, copies, width, temperature)
    weights = [k * math.exp((v - max(values)) / temperature) for v, k in dealt]
    assert sum(shares) == width
    assert all(abs(share - width * w / sum(weights)) < 1 + 1e-6 for share, w in zip(shares, weights, strict=True))


def test_shares_by_hand() -> None:
    """e^(.9/.4) : e^(.5/.4) : e^(.1/.4) = 1 : .368 : .135, of 8: 5.32, 1.96, 0.72."""
    assert allocate([0.9, 0.5, 0.1], [1, 1, 1], 8, 0.4) == [5, 2, 1]
    assert allocate([0.5, 0.5], [1, 3], 8, 0.1) == [2, 6]
    assert allocate([0.5, 0.5, 0.5], [1, 1, 1], 8, 1.0) == [3, 3, 2]
    assert allocate([], [], 8, 1.0) == []


def test_a_trace_by_hand() -> None:
    """Four first steps in turn: a, b, a, b, with a open (0.8) and b an answer in two steps (0.2). The open shares of 4
    at temperature 0.4 are 2 e^2 : 2 e^0.5 = 3.27 : 0.73, so a gets 3 and b 1. b's answer comes and leaves 3 for the 3
    letters below a, all equal."""
    world = World(
        {(): {"a": 0.5, "b": 0.5}, ("a",): {"a": 0.4, "b": 0.3, "c": 0.3}},
        {("b",): 1.0, **{("a", x): 0.0 for x in "abc"}},
    )
    values = {("a",): 0.8, ("b",): 0.2, ("a", "a"): 0.5, ("a", "b"): 0.5, ("a", "c"): 0.5}
    [tree] = grow(Rebase(n=4, temperature=0.4), world, scorer=ToyScorer(values.__getitem__), gold=False, cycle=True)
    drawn = {
        d: Counter(path_of(tree, n) for n in tree.nodes if n.depth == d for _ in range(n.draws)) for d in (1, 2, 3)
    }
    assert drawn[1] == {("a",): 2, ("b",): 2} and drawn[2] == {("a", "a"): 1, ("a", "b"): 1, ("a", "c"): 1, ("b",): 1}
    assert drawn[3] == {("a", "a"): 1, ("a", "b"): 1, ("a", "c"): 1}
    assert voters(tree) == {("b",): pytest.approx(0.2 / 1.7), **{("a", x): pytest.approx(0.5 / 1.7) for x in "abc"}}


def test_an_answer_drawn_twice_takes_two_places_and_votes_twice() -> None:
    world = World({(): {"a": 1.0}}, {("a",): 1.0})
    [tree] = grow(Rebase(n=5), world, scorer=ToyScorer(lambda path: 0.5), gold=False)
    [leaf] = [node for node in tree.nodes if node.votes]
    assert (leaf.votes, leaf.draws, leaf.weight) == (5, 5, pytest.approx(1.0)) and tree.stopped == "answered"


def test_the_dead_free_their_place_and_the_cut_come_back() -> None:
    """All width goes to a (temperature near 0), whose children are dead; b, dealt nothing, comes back with all four
    places."""
    world = World({(): {"a": 0.5, "b": 0.5}, ("a",): {"a": 1.0}}, {("a", "a"): None, ("b",): 1.0})
    values = {("a",): 0.9, ("b",): 0.1}
    [tree] = grow(Rebase(n=4, temperature=0.01), world, scorer=ToyScorer(values.__getitem__), gold=False, cycle=True)
    [leaf] = [node for node in tree.nodes if node.votes]
    assert path_of(tree, leaf) == ("b",) and leaf.votes == 4
    dead = World({(): {"a": 1.0}}, {("a",): None})
    [tree] = grow(Rebase(n=4), dead, scorer=ToyScorer(lambda path: 0.5), gold=False)
    assert tree.stopped == "exhausted" and not any(node.votes for node in tree.nodes)


def test_with_equal_values_it_is_sampling() -> None:
    """Shares follow the copies then, so every leaf's expected votes are n times its probability: 400 trees of 6, below
    0.06."""
    world = World.random(8, depth=2)
    trees = grow(Rebase(n=6), world, scorer=ToyScorer(lambda path: 0.5), gold=False, runs=400)
    found = Counter(path_of(tree, node) for tree in trees for node in tree.nodes for _ in range(node.votes))
    assert found.total() == 2400
    assert distance({leaf: found[leaf] / 2400 for leaf in world.leaves()}, world.leaves()) < 0.06


def test_expected_votes_against_enumeration() -> None:
    """Width 3 over two binary steps: all 8 first generations, their deals, and the second step's law, summed exactly;
    800 trees."""
    world = World.random(9, depth=2, branching=2)
    values, first = {("a",): 0.9, ("b",): 0.2}, world.tree[()]
    exact: Counter[Path] = Counter()
    for draws in itertools.product("ab", repeat=3):
        copies = Counter(draws)
        chance = math.prod(first[x] for x in draws)
        for letter, share in zip(
            copies, allocate([values[x,] for x in copies], list(copies.values()), 3, 0.4), strict=True
        ):
            for second, p in world.tree[letter,].items():
                exact[letter, second] += chance * share * p / 3
    trees = grow(
        Rebase(n=3, temperature=0.4),
        world,
        scorer=ToyScorer(lambda path: values.get(path, 0.5)),
        gold=False,
        runs=800,
        seed=4,
    )
    found = Counter(path_of(tree, node) for tree in trees for node in tree.nodes for _ in range(node.votes))
    assert sum(exact.values()) == pytest.approx(1) and found.total() == 2400
    assert distance({leaf: found[leaf] / 2400 for leaf in exact}, exact) < 0.05
    assert distance(exact, world.leaves()) > 0.08  # the values did move it


def shares(values: list[float], copies: list[int], width: int, temperature: float) -> list[int]:
    """The width in proportion to copies * exp(value / T): whole parts of each share, then one more for the largest
    remainders."""
    weights = [
        k * Fraction(math.exp((value - max(values)) / temperature)) for value, k in zip(values, copies, strict=True)
    ]
    exact = [width * weight / sum(weights) for weight in weights]
    found = [math.floor(share + Fraction(1, 10**9)) for share in exact]
    for _ in range(width - sum(found)):
        i = max(range(len(values)), key=lambda i: (exact[i] - found[i], -i))
        found[i] += 1
    return found


def reference(world: World, values: dict[Path, float], n: int, temperature: float) -> Counter[str]:
    """Section 3.2 without trees or engines: answers -> how many paths end in each. The i-th draw from a place takes its
    i-th line."""
    starts, answers = Counter({"": n}), Counter[str]()
    while starts:
        paths = Counter[str]()
        for text, copies in starts.items():
            lines = [line for line, _ in world.lines(letters_of(text))]
            for i in range(copies):
                paths[text + lines[i % len(lines)]] += 1
        answers += Counter({text: copies for text, copies in paths.items() if not text.endswith("\n")})
        going = {text: copies for text, copies in paths.items() if text.endswith("\n")}
        width = n - answers.total()
        worth = [values[letters_of(text)] for text in going]
        dealt = shares(worth, list(going.values()), width, temperature) if going else []
        starts = +Counter(dict(zip(going, dealt, strict=True)))
    return answers


@settings(max_examples=60, deadline=None)
@given(
    worlds, st.lists(st.integers(0, 8), min_size=40, max_size=40), st.integers(1, 12), st.sampled_from([0.1, 0.3, 1])
)
def test_it_is_the_algorithm_without_trees_or_engines(
    world: World, values: list[int], n: int, temperature: float
) -> None:
    names = world.named([value / 8 for value in values])
    search = Rebase(n=n, temperature=temperature)
    [tree] = grow(search, world, scorer=ToyScorer(names.__getitem__), gold=False, cycle=True)
    assert {node.solution: node.votes for node in tree.nodes if node.votes} == reference(world, names, n, temperature)


def test_on_the_signed_scale_twice_the_temperature_is_the_same() -> None:
    world = World.random(10)
    one, two = (
        grow(Rebase(n=6, temperature=t, scale=scale), world, scorer=ToyScorer(world.value), gold=False)[0]
        for t, scale in ((0.3, Scale.P), (0.6, Scale.SIGNED))
    )
    assert [(n.text, n.draws, n.votes) for n in one.nodes] == [(n.text, n.draws, n.votes) for n in two.nodes]
