"""Independent samples in a trie: a trace by hand, conserved counts, leaf probabilities by chi-square."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.search import Expand
from data_gen.search.algorithms.iid import Iid
from tests.data_gen.search.algorithms.test_mcts import FORK, worlds
from tests.data_gen.search.toy import Path, World, grow, path_of


def test_a_trace_by_hand() -> None:
    """Five draws in turn: aa right, b wrong, aa right, b wrong, aa right; what they share is one path."""
    [tree] = grow(Iid(n=5), FORK, cycle=True)
    assert [(node.solution, node.draws, node.mc_correct, node.mc_total, node.q) for node in tree.nodes[1:]] == [
        ("a\n", 3, 3, 3, 1),
        ("a\na\n", 3, 3, 3, 1),
        ("a\na\nAnswer: 1", 3, 3, 3, 1),
        ("b\n", 2, 0, 2, 0),
        ("b\nAnswer: 0", 2, 0, 2, 0),
    ]
    assert (tree.root.mc_correct, tree.root.mc_total, tree.root.q) == (
        3,
        5,
        0.6,
    ) and tree.generated_tokens == 3 * 8 + 2 * 6
    assert [node.terminal for node in tree.nodes[1:]] == ["", "", "answer", "", "answer"]


@settings(max_examples=40, deadline=None)
@given(worlds, st.integers(1, 20), st.integers(0, 99))
def test_counts_are_sums_over_ends(world: World, n: int, seed: int) -> None:
    """Also TVM's invariants: an end is worth 0 or 1, the root the pass rate, a node the count-weighted mean of its
    children."""
    [tree] = grow(Iid(n=n), world, seed=seed)
    assert tree.root.mc_total == n
    for node in tree.nodes:
        ends = [below for below in node.walk() if below.terminal]
        assert (node.mc_correct, node.mc_total) == (
            sum(e.draws * (e.outcome or 0.0) for e in ends),
            sum(e.draws for e in ends),
        )
        assert (node.total, node.visits) == (node.mc_correct, node.mc_total)
        assert node.terminal or node.visits == sum(child.visits for child in node.children)
        assert not node.terminal or node.q in (0, 1)
    assert sum(node.draws * len(node.token_ids) for node in tree.nodes[1:]) == tree.generated_tokens


def test_leaves_are_drawn_with_their_probabilities() -> None:
    """2,000 draws over 27 leaves: chi-square with 26 degrees of freedom stays below its 99.9 % quantile, 54.05."""
    world = World.random(12)
    [tree] = grow(Iid(n=2000), world, seed=1)
    found = Counter[Path]({path_of(tree, node): node.draws for node in tree.nodes if node.terminal})
    exact = world.leaves()
    assert sum((found[leaf] - 2000 * p) ** 2 / (2000 * p) for leaf, p in exact.items()) < 54.05
    assert found.total() == 2000 and set(found) <= set(exact)


def test_ratios_are_probabilities() -> None:
    """Every prefix with at least 100 draws: its ratio within 4 standard errors of P(correct | prefix)."""
    world = World.random(12)
    [tree] = grow(Iid(n=2000), world, seed=2)
    checked = [node for node in tree.nodes if node.visits >= 100 and not node.terminal]
    for node in checked:
        p = world.value(path_of(tree, node))
        assert abs(node.q - p) < 4 * (p * (1 - p) / node.visits) ** 0.5 + 1e-9
    assert len(checked) > 8


def test_log_probs_of_steps_sum_up_to_that_of_the_solution() -> None:
    import math

    world = World.random(3)
    [tree] = grow(Iid(n=40), world)
    for leaf in (node for node in tree.nodes if node.terminal):
        assert math.exp(sum(node.logprob for node in leaf.path())) == pytest.approx(world.leaves()[path_of(tree, leaf)])
        assert all(
            below.depth == above.depth + 1 and below.length > above.length for above, below in pairwise(leaf.path())
        )


def test_the_probe_is_part_of_the_draws() -> None:
    sure = World({(): {"a": 0.5, "b": 0.5}}, {("a",): 1.0, ("b",): 1.0})
    [decided] = grow(Iid(n=10, probe=4), sure)
    assert decided.stopped == "decided" and decided.root.mc_total == 4
    [mixed] = grow(Iid(n=10, probe=4), FORK, cycle=True)
    assert mixed.stopped == "answered" and mixed.root.mc_total == 10
    assert [node.solution for node in mixed.nodes] == [
        node.solution for node in grow(Iid(n=10), FORK, cycle=True)[0].nodes
    ]


def test_without_gold_each_draw_votes_and_nothing_is_counted() -> None:
    [tree] = grow(Iid(n=5), FORK, cycle=True, gold=False)
    assert {node.solution: (node.votes, node.weight) for node in tree.nodes if node.votes} == {
        "a\na\nAnswer: 1": (3, pytest.approx(0.6)),
        "b\nAnswer: 0": (2, pytest.approx(0.4)),
    }
    assert (
        not any(node.visits or node.mc_total for node in tree.nodes)
        and not Iid().needs_gold
        and Iid(probe=4).needs_gold
    )


def test_idle_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="expand.n: 'iid' draws one step of every path at a time"):
        Iid(expand=Expand(n=3))
    with pytest.raises(ValueError, match="expand.max_tokens: 'iid' draws whole solutions"):
        Iid(expand=Expand(max_tokens=3))
    with pytest.raises(ValueError, match="probe=4 solutions leave nothing to decide on; expected less than n=4"):
        Iid(n=4, probe=4)
    assert Iid(expand=Expand(temperature=0.5, top_p=0.9)).tokens() == 16 * 512
