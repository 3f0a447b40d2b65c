"""ReST-MCTS*: values and visits by hand, the look-ahead, the gate, and what visit-weighted means must satisfy."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.scales import Scale
from data_gen.search import Expand
from data_gen.search.rest_mcts import RestMcts
from tests.data_gen.search.test_best_first import HALVES, VALUES, WORLD
from tests.data_gen.search.toy import ToyScorer, World, grow, path_of

KNOWN = {**VALUES, (): 0.0, ("c", "a"): 0.05, ("c", "b"): 0.15}


def scorer() -> ToyScorer:
    return ToyScorer(KNOWN.__getitem__, Scale.PROGRESS)


def test_three_simulations_by_hand() -> None:
    """First a .6 is visited; unvisited b and c come next: b is worth its best child ba .9, c its cb .15; the root the mean of the three."""
    [tree] = grow(RestMcts(simulations=3, ahead=0, expand=Expand(n=3)), WORLD, scorer=scorer(), gold=False, cycle=True)
    q = {path_of(tree, node): (node.visits, node.q) for node in tree.nodes if node.visits}
    assert q == {
        (): (3, pytest.approx((0.6 + 0.9 + 0.15) / 3)),
        ("a",): (1, pytest.approx(0.6)),
        ("b",): (1, pytest.approx(0.9)),
        ("b", "a"): (1, pytest.approx(0.9)),
        ("c",): (1, pytest.approx(0.15)),
        ("c", "b"): (1, pytest.approx(0.15)),
    }


def test_a_greedy_step_ahead_is_mixed_in() -> None:
    """Greedily a goes on to aa .3: a is worth (.6 + .3) / 2. The step ahead is kept apart and never walked."""
    [tree] = grow(RestMcts(simulations=1, ahead=1, expand=Expand(n=3)), WORLD, scorer=scorer(), gold=False, cycle=True)
    assert tree.root.q == pytest.approx(0.45)
    [ahead] = [node for node in tree.nodes if node.source == "lookahead"]
    assert path_of(tree, ahead) == ("a", "a") and ahead not in tree.nodes[1].steps()
    assert tree.generated_tokens == sum(len(node.token_ids) * node.draws for node in tree.nodes[1:])


def test_the_gate_ends_the_search_at_a_good_answer() -> None:
    world = World({(): HALVES}, {("a",): 1.0, ("b",): 0.0})
    good = ToyScorer({("a",): 0.95, ("b",): 0.2}.__getitem__, Scale.PROGRESS)
    [tree] = grow(RestMcts(simulations=40, ahead=0), world, scorer=good, gold=False, cycle=True)
    assert tree.stopped == "answered" and [path_of(tree, node) for node in tree.nodes if node.weight] == [("a",)]
    [tree] = grow(RestMcts(simulations=40, ahead=0, gate=None), world, scorer=good, gold=False, cycle=True)
    assert tree.stopped == "exhausted"


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 25), st.integers(0, 3))
def test_inner_values_are_visit_weighted_means_and_visits_add_up(seed: int, simulations: int, ahead: int) -> None:
    world = World.random(seed)
    search = RestMcts(simulations=simulations, ahead=ahead, gate=None)
    [tree] = grow(search, world, scorer=ToyScorer(world.value, Scale.PROGRESS), gold=False, seed=seed)
    for node in tree.nodes:
        visited = [child for child in node.steps() if child.visits]
        if visited:
            own = node.visits - sum(child.visits for child in visited)
            assert own in (0, 1)  # a step is visited once before it has children, the root never
            assert node.q == pytest.approx(sum(child.total for child in visited) / sum(child.visits for child in visited))


def test_exact_values_draw_the_visits_to_the_best_first_step() -> None:
    """Over 30 worlds the first step with the greatest P(correct) of the best continuation is the root's most valued child."""
    agree = 0
    for seed in range(30):
        world = World.random(seed, depth=2, right=0.4)
        search = RestMcts(simulations=60, ahead=0, gate=None, expand=Expand(n=30))
        [tree] = grow(search, world, scorer=ToyScorer(world.value, Scale.PROGRESS), gold=False, seed=seed)
        top = max((child for child in tree.root.steps() if child.visits), key=lambda child: child.q)
        best = max(world.value((*path_of(tree, top), letter)) for letter in world.tree[path_of(tree, top)])
        agree += best == 1.0
    assert agree == 30
