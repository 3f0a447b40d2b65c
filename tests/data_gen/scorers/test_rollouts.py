"""Rollouts on an enumerable world: unbiased, kept, reproducible, and stopped early only when it is clear."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.engines.base import LM
from data_gen.errors import UserError
from data_gen.scorers import SCORERS, GrantedGold, Scorer, Tools
from data_gen.scorers.rollouts import Rollouts, Sequential, mass_above
from data_gen.search.algorithms.best_of_n import BestOfN
from data_gen.search.algorithms.mcts import Mcts
from tests.data_gen.scorers.prefixes import prefix, problem, run
from tests.data_gen.search.toy import CODEC, ToyEngine, ToyTask, World, grow, letters_of


def opened(**options: Any) -> Scorer:
    config = SCORERS.get("rollouts").model_validate({"uses": "rollouts", **options})
    return config.open(Tools(codec=CODEC, gold=GrantedGold(ToyTask(), CODEC), policy_hash="abc"))


def test_the_value_is_unbiased_and_the_counts_are_the_leaves() -> None:
    """Means over 400 roots of 4 rollouts: within 4 standard errors of the exact value; and the same of inner nodes."""
    world = World.random(4)
    trees = grow(Mcts(simulations=1, outcome_weight=1.0), world, scorer=opened(m=4), runs=400)
    roots = [tree.root for tree in trees]
    exact = world.value(())
    found = sum(root.mc_correct for root in roots) / sum(root.mc_total for root in roots)
    assert 0.05 < exact < 0.95
    assert abs(found - exact) < 4 * math.sqrt(exact * (1 - exact) / 1600)
    by_path: dict[Any, list[float]] = {}
    for tree in trees:
        for node in tree.nodes:
            leaves = [child for child in node.children if child.source == "rollout"]
            assert len(leaves) == node.mc_total == (4 if not node.terminal and node.source == "policy" else 0)
            assert sum(leaf.outcome or 0.0 for leaf in leaves) == node.mc_correct
            if leaves and node.value is not None:
                assert node.value == pytest.approx(2 * node.mc_correct / node.mc_total - 1)
                by_path.setdefault(letters_of(node.solution), []).append(node.mc_correct / 4)
        assert tree.generated_tokens == sum(len(n.token_ids) * n.draws for n in tree.nodes[1:])
    for path, shares in by_path.items():
        p = world.value(path)
        assert abs(sum(shares) / len(shares) - p) <= 4 * math.sqrt(p * (1 - p) / (4 * len(shares))) + 1e-9, path


def test_what_is_over_is_worth_its_outcome_and_draws_nothing() -> None:
    world = World.random(5)
    for tree in grow(BestOfN(n=6), world, scorer=opened(m=4), runs=20):
        for leaf in tree.nodes[1:]:
            assert leaf.value == leaf.outcome and not leaf.children
        assert tree.requests == sum(node.draws for node in tree.nodes[1:]) == 6
        assert tree.generated_tokens == sum(len(n.token_ids) * n.draws for n in tree.nodes[1:])


def test_the_same_seed_draws_the_same_and_every_node_its_own() -> None:
    world, search = World.random(6), Mcts(simulations=5)
    first, again, other = (
        [tree.frozen(0, oracle=True) for tree in grow(search, world, scorer=opened(m=8), seed=seed, runs=5)]
        for seed in (1, 1, 2)
    )
    assert first == again != other
    drawn = [[leaf.text for leaf in tree.nodes if leaf.source == "rollout" and leaf.parent == 0] for tree in first]
    assert len({tuple(texts) for texts in drawn}) == 5


def test_a_cut_completion_is_wrong() -> None:
    """The only solution is right, but there is room for two lines and a half."""
    world = World({(): {"a": 1.0}, ("a",): {"a": 1.0}, ("a", "a"): {"a": 1.0}}, {("a", "a", "a"): 1.0})
    whole, cut = (
        grow(Mcts(simulations=1), world, scorer=opened(m=2, max_length=length))[0].root for length in (512, 5)
    )
    assert (whole.value, whole.mc_correct, whole.mc_total) == (1.0, 2.0, 2.0)
    assert (cut.value, cut.mc_correct, cut.mc_total) == (-1.0, 0.0, 2.0)
    assert {leaf.terminal for leaf in cut.children if leaf.source == "rollout"} == {"limit"}


def test_a_problem_without_gold_is_worth_half_and_counts_nothing() -> None:
    asked = prefix(CODEC, "a", of=problem(question="go", gold=None))
    [found] = run(lambda: opened(m=3)([asked], LM(ToyEngine(World.random(0)), 0, ("x",))))
    assert found.value == 0.5 and [rollout.outcome for rollout in found.rollouts] == [None] * 3
    over = prefix(CODEC, "a", of=asked.problem, ended=True, answer="1")
    assert run(lambda: opened(m=3)([over], LM(ToyEngine(World.random(0)), 0, ("x",))))[0].value == 0.5


def test_gold_must_be_granted() -> None:
    assert Rollouts().needs_gold
    with pytest.raises(UserError, match=r"scorer.rollouts needs gold answers, which this stage does not grant"):
        Rollouts().open(Tools(codec=CODEC))


@pytest.mark.parametrize(
    ("right", "wrong", "threshold", "expected"),
    [
        (0, 0, 0.5, 0.5),
        (1, 0, 0.5, 0.75),
        (0, 1, 0.5, 0.25),
        (4, 0, 0.5, 1 - 0.5**5),
        (0, 4, 0.25, 0.75**5),
        (2, 2, 0.5, 0.5),
    ],
)
def test_posterior_mass_by_hand(right: int, wrong: int, threshold: float, expected: float) -> None:
    assert mass_above(threshold, right, wrong) == pytest.approx(expected)


@given(st.integers(0, 30), st.integers(0, 30), st.floats(0.05, 0.95))
def test_posterior_mass_is_the_integral(right: int, wrong: int, threshold: float) -> None:
    """Midpoint sums of p^right (1 - p)^wrong above and below the threshold."""
    n = 4000
    density = [((i + 0.5) / n) ** right * (1 - (i + 0.5) / n) ** wrong for i in range(n)]
    above = sum(d for i, d in enumerate(density) if (i + 0.5) / n > threshold)
    assert mass_above(threshold, right, wrong) == pytest.approx(above / sum(density), abs=5e-3)


def test_clear_cases_stop_early_and_unclear_ones_do_not() -> None:
    sequential = Sequential(threshold=0.5, confidence=0.95, batch=4)
    assert (
        sequential.decided(4, 4)
        and sequential.decided(0, 4)
        and not sequential.decided(3, 4)
        and not sequential.decided(0, 0)
    )
    sure = World({(): {"a": 1.0}}, {("a",): 1.0})
    coin = World({(): {"a": 1.0}}, {("a",): 0.5})
    for world, least, most in ((sure, 4, 4), (coin, 8, 32)):
        drawn = [
            tree.root.mc_total
            for tree in grow(Mcts(simulations=1), world, scorer=opened(m=32, sequential={"batch": 4}), runs=40)
            if world is sure or tree.root.mc_total > 4
        ]
        assert min(drawn) >= least and max(drawn) == most


def test_early_stops_are_reproducible() -> None:
    search, scorer = Mcts(simulations=4), opened(m=16, sequential={"batch": 4, "threshold": 0.3})
    one, again = (
        [t.frozen(0, oracle=True) for t in grow(search, World.random(7), scorer=scorer, runs=6)] for _ in range(2)
    )
    assert one == again and {node.mc_total for tree in one for node in tree.nodes} >= {4, 16}


def test_a_sequential_test_that_cannot_stop_is_refused() -> None:
    with pytest.raises(ValueError, match=r"sequential.batch=8 leaves nothing to stop; expected less than m=8"):
        Rollouts(m=8, sequential=Sequential(batch=8))


def test_early_stops_save_most_where_values_are_extreme() -> None:
    """Of nodes with p in {0.02, 0.98} nearly all stop after one batch; the side of the threshold is right in 99 of 100
    cases."""
    rng, sequential = random.Random(0), Sequential(batch=4)
    drawn, sides = [], []
    for i in range(400):
        p = 0.98 if i % 2 else 0.02
        right = total = 0
        while total < 32:
            right, total = right + sum(rng.random() < p for _ in range(4)), total + 4
            if sequential.decided(right, total):
                break
        drawn.append(total)
        sides.append((right / total > 0.5) == (p > 0.5))
    assert sum(drawn) / 400 < 6 and sum(sides) >= 396
