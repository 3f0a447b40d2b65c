"""Searches that are made of rollouts: iid samples, rollouts of every step, the binary search for first errors."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from data_gen.errors import UserError
from data_gen.search.iid import Iid
from data_gen.search.omega import Omega, candidates
from data_gen.search.step_rollouts import StepRollouts
from tests.data_gen.search.toy import World, grow, path_of

HALVES = {"a": 0.5, "b": 0.5}


def chain(fatal: int, depth: int = 6) -> World:
    """a...a is right; a b at depth `fatal` (1 for the first step) is never made good, at any other depth it does no harm."""
    import itertools

    tree = {path: HALVES for d in range(depth) for path in itertools.product("ab", repeat=d)}
    return World(tree, {path: float(path[fatal - 1] != "b") for path in itertools.product("ab", repeat=depth)})


def test_iid_draws_follow_the_leaves_and_are_conserved() -> None:
    """2,000 solutions: chi-square against the exact leaf probabilities below its 99.9 % point (26 degrees of freedom: 54.05)."""
    world = World.random(4)
    [tree] = grow(Iid(n=2000), world, gold=False)
    ends = Counter({path_of(tree, node): node.draws for node in tree.nodes if node.terminal})
    expected = {path: 2000 * p for path, p in world.leaves().items()}
    assert ends.total() == 2000 and set(ends) <= set(expected)
    assert sum((ends[path] - mean) ** 2 / mean for path, mean in expected.items()) < 54.05
    for node in tree.nodes[1:]:
        assert node.terminal or node.draws == sum(child.draws for child in node.children)


def test_iid_votes_for_the_majority() -> None:
    world = World({(): {"a": 0.9, "b": 0.1}}, {("a",): 1.0, ("b",): 0.0})
    [tree] = grow(Iid(n=200), world, gold=False)
    votes = {node.answer: node.weight for node in tree.nodes if node.weight}
    assert votes["1"] == pytest.approx(tree.nodes[1].draws / 200 if tree.nodes[1].text == "a\n" else 1 - tree.nodes[1].draws / 200)


def test_every_step_is_rolled_out_once() -> None:
    world = World.random(5, depth=2)
    [tree] = grow(StepRollouts(n=6, m=3), world)
    for node in tree.nodes[1:]:
        rollouts = [child for child in node.children if child.source == "rollout"]
        wanted = 3 if node.source == "policy" and not node.terminal else 0
        assert len(rollouts) == wanted == node.mc_total
        assert node.mc_correct == sum(leaf.outcome for leaf in rollouts)
    assert not [child for child in tree.root.children if child.source == "rollout"]


def test_step_counts_estimate_the_exact_values() -> None:
    """400 rollouts a step: each ratio within 4.5 standard errors of the exact value."""
    world = World.random(6, depth=2)
    [tree] = grow(StepRollouts(n=30, m=400), world)
    steps = [node for node in tree.nodes[1:] if node.mc_total]
    assert len(steps) > 5
    for node in steps:
        p = world.value(path_of(tree, node))
        assert abs(node.mc_correct / node.mc_total - p) <= 4.5 * math.sqrt(p * (1 - p) / 400) + 1e-9


def test_rollouts_need_gold() -> None:
    with pytest.raises(UserError, match="set `gold: true`"):
        grow(StepRollouts(n=2, m=2), World.random(0), gold=False)


@pytest.mark.parametrize("fatal", range(1, 7))
def test_omega_finds_the_first_error(fatal: int) -> None:
    """With 40 rollouts a state, a state before the fatal step has a right one but in 2^-40 of the runs: each search is exact."""
    world = chain(fatal)
    [tree] = grow(Omega(searches=1, k=40), world)
    looked = [node for node in tree.nodes[1:] if node.mc_total]
    steps = next(node for node in tree.nodes if node.source == "replayed" and node.terminal).path()
    first = next(i for i, node in enumerate(steps, 1) if node.text == "b\n" and i == fatal)
    assert len(looked) <= 3  # log2 of 7 steps
    for node in looked:
        assert (node.mc_correct == 0) == (node.depth >= first)
    # The search ends with neighbours: the last state that can be saved and the first that cannot (or the ends themselves).
    saved = max([node.depth for node in looked if node.mc_correct], default=0)
    lost = min([node.depth for node in looked if not node.mc_correct], default=7)
    assert lost - saved == 1 and lost == fatal


def test_omega_scores_by_hand() -> None:
    """MC 3/4, a rollout of 250 of 500 tokens, N = 1 of sum 4: 0.5^(1/4) * 0.9^(1/2) + 0.125 * 2 / 2."""
    from data_gen.search.node import Node

    state = Node(id=1, parent=None, token_ids=(), text="", mc_correct=3, mc_total=4, visits=1)
    other = Node(id=2, parent=None, token_ids=(), text="", mc_correct=1, mc_total=4, visits=3)
    rollout = Node(id=3, parent=state, token_ids=(0,) * 250, text="", source="rollout", outcome=0.0)
    pool = [(state, rollout), (other, rollout), (other, rollout)]
    assert Omega().score(pool[0], pool) == pytest.approx(0.5**0.25 * 0.9**0.5 + 0.125)


def test_states_that_are_decided_are_no_candidates() -> None:
    for right in (0.0, 1.0):
        world = World({(): HALVES}, {("a",): right, ("b",): right})
        [tree] = grow(Omega(k=6), world)
        assert tree.stopped == "decided" and tree.root.mc_total == 6 and not candidates(tree.root)


def test_omega_recycles_its_rollouts_and_conserves_counts() -> None:
    world = World.random(7, depth=4)
    for tree in grow(Omega(searches=5, k=6), world, runs=10):
        for node in tree.nodes:
            leaves = [child for child in node.children if child.source == "rollout"]
            assert node.mc_total == len(leaves) and node.mc_correct == sum(leaf.outcome for leaf in leaves)
        # What was replayed was not drawn again: only rollouts cost tokens.
        assert tree.generated_tokens == sum(len(node.token_ids) for node in tree.nodes if node.source == "rollout")
