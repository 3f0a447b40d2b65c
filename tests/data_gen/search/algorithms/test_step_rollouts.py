"""Rollouts from every step: a trace by hand, one estimate a prefix, exact probabilities."""

from __future__ import annotations

import math
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.search.algorithms.step_rollouts import StepRollouts
from tests.data_gen.search.algorithms.test_mcts import FORK, worlds
from tests.data_gen.search.toy import Path, World, grow, path_of


def test_a_trace_by_hand() -> None:
    """Three solutions in turn, aa, b, aa; two completions of each of their three open steps: of a one to aa and one to
    ab, of aa both to its right answer, of b both to its wrong one."""
    [tree] = grow(StepRollouts(n=3, m=2), FORK, cycle=True)
    steps = {
        node.solution: (node.visits, node.total, node.mc_correct, node.mc_total)
        for node in tree.nodes
        if node.source == "policy"
    }
    assert steps.pop("go\n", None) is None
    assert steps == {
        "": (3, 2, 0, 0),
        "a\n": (2, 2, 1, 2),
        "a\na\n": (2, 2, 2, 2),
        "a\na\nAnswer: 1": (2, 2, 0, 0),
        "b\n": (1, 0, 0, 2),
        "b\nAnswer: 0": (1, 0, 0, 0),
    }
    assert [node.solution for node in tree.nodes[1].rollouts()] == ["a\na\nAnswer: 1", "a\nb\nAnswer: 0"]


@settings(max_examples=25, deadline=None)
@given(worlds, st.integers(1, 6), st.integers(1, 5))
def test_every_step_is_rolled_out_once(world: World, n: int, m: int) -> None:
    [tree] = grow(StepRollouts(n=n, m=m), world)
    steps = [node for node in tree.nodes if node.source == "policy"]
    assert tree.root.visits == n and not tree.root.rollouts()
    for node in steps[1:]:
        assert len(node.rollouts()) == node.mc_total == (0 if node.terminal else m)
        assert node.mc_correct == sum(leaf.outcome or 0.0 for leaf in node.rollouts())
        assert node.terminal or node.visits == sum(child.visits for child in node.steps())
    assert sum(node.draws * len(node.token_ids) for node in tree.nodes[1:]) == tree.generated_tokens


def test_counts_are_probabilities() -> None:
    """150 trees: over all of them every prefix's share of right completions lies within 4 standard errors of P(correct
    | prefix)."""
    world = World.random(12)
    right, total = Counter[Path](), Counter[Path]()
    for tree in grow(StepRollouts(n=3, m=8), world, runs=150):
        for node in tree.nodes[1:]:
            right[path_of(tree, node)] += int(node.mc_correct)
            total[path_of(tree, node)] += int(node.mc_total)
    for path, n in total.items():
        p = world.value(path)
        assert abs(right[path] - n * p) <= 4 * math.sqrt(n * p * (1 - p)) + 1e-9
    assert sum(n > 0 for n in total.values()) > 30


def test_the_probe_saves_the_rollouts_of_what_is_decided_and_tokens_limit_the_rest() -> None:
    sure = World({(): {"a": 0.5, "b": 0.5}}, {("a",): 0.0, ("b",): 0.0})
    [tree] = grow(StepRollouts(n=6, m=8, probe=4), sure)
    assert tree.stopped == "decided" and tree.root.visits == 4 and not any(node.rollouts() for node in tree.nodes)
    [tree] = grow(StepRollouts(n=4, m=8, token_budget=60), World.random(2))
    rolled = [node for node in tree.nodes if node.rollouts()]
    # the first solution's three letters
    assert tree.stopped == "budget" and tree.generated_tokens >= 60 and len(rolled) == 3
