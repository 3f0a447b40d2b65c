"""MCTS-DPO: rewards, backup and commitment by hand, telescoping edges, and the exact answer where the scorer is exact."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.errors import UserError
from data_gen.scales import Scale, convert
from data_gen.search import Expand
from data_gen.search.mcts_dpo import MctsDpo, gap
from data_gen.search.node import Node
from tests.data_gen.search.toy import ToyScorer, World, grow, path_of

HALVES = {"a": 0.5, "b": 0.5}
ONE_STEP = World({(): HALVES}, {("a",): 1.0, ("b",): 0.0})
C = ToyScorer({(): 0.5, ("a",): 0.8, ("b",): 0.4}.__getitem__)


def test_two_moves_by_hand() -> None:
    """Root -> a (.8) and b (.4); below a the answer, right: R = .8 + 1. Edges: a .8, answer 1. V(a) = 1, so Q(a) = 1.8.

    The second move's simulation walks to the answer again: one more visit for it and for a, none for the root, and no token drawn.
    """
    search = MctsDpo(iterations=1, root_factor=1, expand=Expand(n=2))
    [tree] = grow(search, ONE_STEP, scorer=C, cycle=True)
    a, b, answer = tree.nodes[1:4]
    assert [node.text for node in (a, b, answer)] == ["a\n", "b\n", "Answer: 1"]
    assert (search.reward(a), search.reward(answer), search.edge(answer)) == (0.8, 1.8, pytest.approx(1.0))
    assert (a.visits, a.q) == (2, pytest.approx(1.8)) and (answer.visits, answer.q) == (2, pytest.approx(1.0)) and b.visits == 0
    assert tree.root.visits == 1 and answer.weight == 1.0 and tree.stopped == "answered"
    # V(root): Q(a) = 1.8 with N = 2; b was never visited and counts once, with its edge of .4.
    assert search._value(tree.root) == pytest.approx((2 * 1.8 + 0.4) / 3)


def test_a_wrong_end_costs_one() -> None:
    """b looks better (.8) but answers wrongly: its edge .8, its answer's -1, so Q(b) = -.2. The next walk turns to a: .4 + 1."""
    misled = ToyScorer({("a",): 0.4, ("b",): 0.8}.__getitem__)
    [tree] = grow(MctsDpo(iterations=2, root_factor=1, expand=Expand(n=2)), ONE_STEP, scorer=misled, cycle=True)
    a, b = tree.nodes[1:3]
    assert b.visits == 1 and b.q == pytest.approx(-0.2) and a.q == pytest.approx(1.4)
    [voted] = [node for node in tree.nodes if node.weight]
    assert voted.parent is a


def test_commitment_looks_at_the_gap_of_visits() -> None:
    parent = Node(id=0, parent=None, token_ids=(), text="")
    for visits in (3, 1):
        parent.children.append(Node(id=visits, parent=parent, token_ids=(), text="", visits=visits))
    assert gap(parent) == 0.5 and gap(parent.children[0]) == 0.0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_edges_telescope_and_visits_are_conserved(seed: int) -> None:
    world = World.random(seed)
    search = MctsDpo(iterations=4, expand=Expand(n=3))
    [tree] = grow(search, world, scorer=ToyScorer(world.value), seed=seed)
    for node in tree.nodes[1:]:
        if node.value is not None:
            assert sum(search.edge(step) for step in node.path()) == pytest.approx(search.reward(node))
    # A committed step goes on gathering visits that its parent does not see; everywhere else children have no more than their parent.
    for node in tree.nodes:
        assert sum(child.visits for child in node.steps() if not _committed(child)) <= node.visits


def _committed(node: Node) -> bool:
    return any(below.weight for below in node.walk())


def test_exact_values_commit_to_a_right_answer() -> None:
    for seed in range(20):
        world = World.random(seed)
        [tree] = grow(MctsDpo(iterations=12, expand=Expand(n=20)), world, scorer=ToyScorer(world.value), seed=seed)
        [voted] = [node for node in tree.nodes if node.weight]
        assert voted.outcome == 1.0 and path_of(tree, voted) in world.right


def test_outcomes_need_gold_and_may_be_left_out() -> None:
    with pytest.raises(UserError, match="set `gold: true`"):
        grow(MctsDpo(iterations=1), ONE_STEP, scorer=C, gold=False)
    [tree] = grow(MctsDpo(iterations=1, outcome_weight=0), ONE_STEP, scorer=C, gold=False, cycle=True)
    assert tree.nodes[1].q == pytest.approx(0.8)


def test_anything_reads_as_a_ranking_and_a_ranking_as_nothing_else() -> None:
    assert convert(0.3, Scale.PROGRESS, Scale.RANKING) == 0.3
    with pytest.raises(UserError, match="'ranking' cannot be read as 'p'"):
        convert(0.3, Scale.RANKING, Scale.P)
