"""OmegaPRM: bisection and selection by hand, true first errors in a world of fatal steps, counts, costs."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.search import SearchTree
from data_gen.search.algorithms.omega import Bisection, Omega, candidates
from data_gen.search.node import Node
from tests.data_gen.search.algorithms.test_mcts import FORK
from tests.data_gen.search.toy import Path, World, grow, path_of


def fatal(depth: int, right: float) -> World:
    """At every step `a` (probability `right`) is right and `b` spoils the solution for good."""
    inner = [path for d in range(depth) for path in itertools.product("ab", repeat=d)]
    leaves = itertools.product("ab", repeat=depth)
    return World(
        {path: {"a": right, "b": 1 - right} for path in inner}, {leaf: float("b" not in leaf) for leaf in leaves}
    )


def searched(tree: SearchTree) -> list[list[Node]]:
    """The paths of the rollouts that were searched, from below the state that each was drawn from."""
    ends = [node for node in tree.nodes if node.source == "replayed" and node.terminal]
    return [end.path() for end in ends]


def test_a_trace_by_hand() -> None:
    """Two rollouts of the question, aaaa right and bbbb wrong (4 letters and the answer: 5 steps). Midpoints bb, then
    b: no completion is right, so the first error is step 1. Neither can end both ways: the pool is empty."""
    [tree] = grow(Omega(k=2), fatal(4, 0.5), cycle=True)
    counts = {path_of(tree, n): (n.mc_correct, n.mc_total) for n in tree.nodes if n.mc_total}
    assert counts == {(): (1, 2), ("b", "b"): (0, 2), ("b",): (0, 2)} and tree.stopped == "exhausted"
    [path] = searched(tree)
    assert [node.text for node in path] == ["b\n"] * 4 + ["Answer: 0"] and all(node.draws == 0 for node in path)
    assert (path[-1].outcome, path[0].source, path[0].logprob) == (0.0, "replayed", pytest.approx(math.log(0.5)))
    assert tree.generated_tokens == sum(node.draws * len(node.token_ids) for node in tree.nodes[1:])


@given(st.integers(1, 40), st.data())
def test_bisection_finds_the_first_error_in_log_steps(steps: int, data: st.DataObject) -> None:
    error = data.draw(st.integers(1, steps))
    path = [
        Node(id=i, parent=None, token_ids=(), text="", mc_correct=float(i < error), mc_total=1)
        for i in range(1, steps + 1)
    ]
    search, looks = Bisection(path, 0, steps), 0
    while search.middle:
        looks += 1
        search.halve()
    assert (search.low, search.high) == (error - 1, error) and looks <= math.ceil(math.log2(max(steps, 1)))


def test_true_first_errors_are_found() -> None:
    """60 trees, 6 letters, a right step has probability .9, 16 rollouts a state: a right prefix looks wrong with
    probability below 1e-5 (.41^16), a spoiled one never looks right."""
    found = Counter[int]()
    for tree in grow(Omega(k=16, searches=4), fatal(6, 0.9), runs=60, seed=2):
        for path in searched(tree):
            letters = path_of(tree, path[-1])
            error = letters.index("b") + 1 if "b" in letters else 7
            before = path[error - 2] if error > 1 else tree.root
            # low and high are neighbours, with the error between
            assert before.mc_correct > 0 and path[error - 1].mc_correct == 0
            assert path[error - 1].mc_total == 16 or path[error - 1].terminal
            found[error] += 1
        for node in tree.nodes:
            assert not node.mc_total or (node.mc_correct > 0) == ("b" not in path_of(tree, node))
    assert found.total() > 60 and len(found) == 6


def test_counts_are_probabilities_wherever_they_stand() -> None:
    """In a world of partial errors: summed over 150 trees, right completions of all midpoints at one depth against
    their exact probabilities; within 4 standard errors."""
    world = World.random(21, depth=4, branching=2, right=0.5)
    residual, variance = Counter[int](), Counter[int]()
    for tree in grow(Omega(k=8, searches=3), world, runs=150):
        for node in tree.nodes:
            if node.mc_total:
                p = world.value(path_of(tree, node))
                residual[node.depth] += node.mc_correct - node.mc_total * p  # type: ignore[assignment]
                variance[node.depth] += node.mc_total * p * (1 - p)  # type: ignore[assignment]
            assert node.mc_total in (0, 8) and len(node.rollouts()) == node.mc_total
    assert all(abs(residual[d]) <= 4 * math.sqrt(variance[d]) + 1e-9 for d in residual) and len(residual) >= 4


def test_selection_by_hand() -> None:
    """alpha .5, beta .9, L 10, c .125. One state with MC .75 and wrong rollouts of 10 and 20 tokens, one with MC .25
    and 10 tokens: Q = .5^.25 * .9, .5^.25 * .81, .5^.75 * .9. U of the first is 0, then .125 / 2 for a state once
    taken, .125 for a fresh one, ..."""

    def state(i: int, right: int, wrong: list[int]) -> Node:
        node = Node(id=i, parent=None, token_ids=(), text="", mc_correct=right, mc_total=4)
        for j, length in enumerate(wrong):
            node.children.append(
                Node(id=10 * i + j, parent=node, token_ids=(j,) * length, text="", source="rollout", outcome=0.0)
            )
        return node

    one, two = state(1, 3, [20, 10]), state(2, 1, [10])
    search, pool, visits = Omega(length=10), candidates([one, two, state(3, 0, [5]), state(4, 4, [])]), Counter[Node]()
    assert [leaf.id for leaf in pool] == [10, 11, 20]
    assert search.score(pool[1], visits) == pytest.approx(0.5**0.25 * 0.9)
    assert [leaf.id for leaf in search._choose(pool, visits, 1)] == [11]
    assert search.score(pool[0], visits) == pytest.approx(0.5**0.25 * 0.81 + 0.125 / 2)
    assert search.score(pool[1], visits) == pytest.approx(0.5**0.75 * 0.9 + 0.125)
    assert [leaf.id for leaf in search._choose(pool, visits, 5)] == [10, 20] and not pool


def test_equal_wrong_rollouts_are_one_candidate_and_shared_steps_one_estimate() -> None:
    """Six rollouts in turn, three of each kind; all wrong ones are bbb: one search, each midpoint estimated once."""
    [tree] = grow(Omega(k=6), fatal(3, 0.5), cycle=True)
    assert len(tree.root.rollouts()) == 6 and len(searched(tree)) == 1
    assert {path_of(tree, n): len(n.rollouts()) for n in tree.nodes if n.rollouts()} == {
        (): 6,
        ("b",): 6,
        ("b", "b"): 6,
    }


def test_a_decided_question_is_left_alone() -> None:
    for right in (0.0, 1.0):
        [tree] = grow(Omega(k=4), World({(): {"a": 0.5, "b": 0.5}}, {("a",): right, ("b",): right}))
        assert tree.stopped == "decided" and len(tree.nodes) == 5


def test_the_probe_is_the_first_rollouts() -> None:
    [tree] = grow(Omega(k=4, probe=2), FORK, cycle=True)
    assert tree.root.mc_total == 4 and tree.root.expansions == 2


@pytest.mark.parametrize("wave", [1, 3])
def test_costs_are_k_times_the_logarithm(wave: int) -> None:
    """Every search looks at no more than ceil(log2 steps) midpoints, k rollouts each; a wave's searches are as many."""
    world = fatal(7, 0.8)
    for tree in grow(Omega(k=4, searches=5, wave=wave), world, runs=20):
        estimated = sum(bool(node.rollouts()) for node in tree.nodes) - 1
        assert estimated <= 5 * 3 and sum(len(node.rollouts()) for node in tree.nodes) == 4 * (estimated + 1)
        assert len({path[-1].id for path in searched(tree)}) <= 5
    assert Omega(k=4, searches=5, max_depth=8).draws() == 4 * (1 + 5 * 3)


def test_letters_of_a_searched_path_are_those_of_its_rollout() -> None:
    for tree in grow(Omega(k=8), fatal(5, 0.7), runs=10):
        rollouts: set[Path] = {
            path_of(tree, leaf) for node in tree.nodes for leaf in node.rollouts() if leaf.outcome == 0
        }
        assert {path_of(tree, path[-1]) for path in searched(tree)} <= rollouts
