"""MCTS-DPO: a trace by hand, the optimum in the limit, moves, widths, merging."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.records.scales import Scale
from data_gen.search import Expand
from data_gen.search.algorithms.mcts_dpo import MctsDpo, commit
from data_gen.search.backup import back_up_rewards
from data_gen.search.expand import same_step
from data_gen.search.node import Node
from data_gen.search.select import Puct
from tests.data_gen.search.algorithms.test_mcts import FORK, containing_right, visits, worlds
from tests.data_gen.search.toy import ToyScorer, World, grow, path_of

EVEN = Puct(c=1.0, prior="uniform", fpu="reward")
VALUES = {("a",): 0.6, ("b",): 0.3, ("a", "a"): 0.8, ("a", "b"): 0.2}


def test_a_trace_by_hand() -> None:
    """Edge rewards: a .6, b .3, aa .2, ab -.4, the right answer below aa .8 + 1 - .8 = 1. Walk 1 takes the best rewards
    to that answer: Q(aa) = 1.2, V(a) = (1.2 - .4) / 2, Q(a) = 1, V(root) = (1 + .3) / 2. Walk 2 repeats it: V(a) = (2 *
    1.2 - .4) / 3, Q(a) = 1.2667, V(root) = (2 * 1.2667 + .3) / 3. Committed: a (2 * (1 + 2) against 0), one walk (V(a)
    = (3 * 1.2 - .4) / 4 = .8); aa; the answer."""
    search = MctsDpo(iterations=1, root_factor=2, select=EVEN, expand=Expand(n=2))
    [tree] = grow(search, FORK, scorer=ToyScorer(VALUES.__getitem__), cycle=True)
    assert [node.solution for node in tree.nodes[1:]] == ["a\n", "b\n", "a\na\n", "a\nb\n", "a\na\nAnswer: 1"]
    assert [node.reward for node in tree.nodes] == pytest.approx([0, 0.6, 0.3, 0.2, -0.4, 1.0])
    assert visits(tree) == {"": 2, "a": 3, "a a": 4, "a a Answer: 1": 4}
    assert [node.q for node in tree.nodes if node.visits] == pytest.approx(
        [(2 * (0.6 + 2 / 3) + 0.3) / 3, 1.4, 1.2, 1.0]
    )
    assert tree.stopped == "answered" and [node.solution for node in tree.nodes if node.votes] == ["a\na\nAnswer: 1"]


def test_gamma_discounts_what_lies_ahead() -> None:
    search = MctsDpo(iterations=1, root_factor=1, gamma=0.5, select=EVEN, expand=Expand(n=2))
    [tree] = grow(search, FORK, scorer=ToyScorer(VALUES.__getitem__), cycle=True)
    assert tree.root.q == pytest.approx(0.5 * (0.6 + 0.5 * ((0.2 + 0.5 * 1.0) - 0.4) / 2 + 0.3) / 2)


def test_q_of_the_best_first_step_comes_to_the_optimum() -> None:
    """Ends are walked to again, so visits gather on the best path and V(root) rises to R of the best end: C + 1 where
    one is right."""
    means = []
    for iterations in (10, 100, 1000):
        gaps = []
        for seed in range(8):
            world = World.random(seed, depth=2)
            optimum = max(world.value(path) + 2 * (right or 0.0) - 1 for path, right in world.right.items())
            search = MctsDpo(iterations=iterations, root_factor=1, horizon=4, expand=Expand(n=3))
            [tree] = grow(search, world, scorer=ToyScorer(world.value), cycle=True)
            gaps.append(optimum - max(node.q if node.visits else node.reward for node in tree.root.steps()))
        assert min(gaps) > -1e-9
        means.append(sum(gaps) / len(gaps))
    assert means[0] > means[1] > means[2] and means[2] < 0.1


@settings(max_examples=25, deadline=None)
@given(worlds, st.integers(1, 12), st.integers(1, 4))
def test_counts_and_values_follow_from_each_other(world: World, iterations: int, horizon: int) -> None:
    """Q = r + V of the children at the last walk through a node; N sums up below every node that was not committed
    to."""
    search = MctsDpo(iterations=iterations, horizon=horizon, expand=Expand(n=3))
    [tree] = grow(search, world, scorer=ToyScorer(world.value), cycle=True)
    [answer] = [node for node in tree.nodes if node.votes]
    committed = set(answer.up())
    for node in tree.nodes:
        below = sum(child.visits for child in node.steps())
        assert node in committed or below <= node.visits
        if node.visits and node not in committed:
            n = [max(1, child.visits) for child in node.steps()]
            q = [child.q if child.visits else child.reward for child in node.steps()]
            ahead = sum(x * y for x, y in zip(n, q, strict=True)) / sum(n) if n else 0.0
            assert node.q == pytest.approx(node.reward + ahead)
    walks = [4 * iterations, *[iterations] * (answer.depth - 1)]
    started = [4 * iterations if node is tree.root else iterations for node in committed if node is not answer]
    assert sorted(walks) == sorted(started) and tree.root.visits == 4 * iterations


def test_rewards_telescope() -> None:
    """Without discount the rewards along a path sum up to R of its end, whatever lies between."""
    world = World.random(5)
    [tree] = grow(MctsDpo(iterations=30), world, scorer=ToyScorer(world.value))
    for node in tree.nodes:
        end = 2 * (node.outcome or 0.0) - 1 if node.terminal else 0.0
        assert sum(above.reward for above in node.up()) == pytest.approx((node.value or 0.0) + end)


def test_the_question_has_a_width_of_its_own() -> None:
    world = World.random(1)
    [tree] = grow(MctsDpo(iterations=3, first=3, expand=Expand(n=2)), world, scorer=ToyScorer(world.value), cycle=True)
    assert len(tree.root.children) == 3 and {len(node.children) for node in tree.nodes[1:] if node.depth in (1, 2)} == {
        0,
        2,
    }
    assert MctsDpo(first=5, expand=Expand(n=2)).width() == 5


def test_a_walk_ends_at_the_horizon_and_moves_go_beyond_it() -> None:
    world = World.random(2)
    [tree] = grow(
        MctsDpo(iterations=2, horizon=1, expand=Expand(n=3)), world, scorer=ToyScorer(world.value), cycle=True
    )
    [answer] = [node for node in tree.nodes if node.votes]
    assert answer.depth == 4
    # nothing beside the moves was expanded
    assert {node for node in tree.nodes if node.children} == {tree.root, *answer.path()[:-1]}


def test_the_committed_child_has_the_most_and_least_evenly_spread_visits() -> None:
    """5 visits spread 3 : 2 lose to 4 spread 4 : 0, by 5 * 2 to 4 * 5; among equals the greater Q wins, then the
    older."""

    def node(parent: Node | None, i: int, visits: int, q: float = 0.0) -> Node:
        made = Node(id=i, parent=parent, token_ids=(), text="", visits=visits, total=q * visits)
        if parent:
            parent.children.append(made)
        return made

    root = node(None, 0, 9)
    one, two, three = node(root, 1, 5), node(root, 2, 4, q=0.1), node(root, 3, 4, q=0.2)
    for i, (parent, seen) in enumerate([(one, 3), (one, 2), (two, 4), (two, 0), (three, 4), (three, 0)], 4):
        node(parent, i, seen)
    assert commit(root) is three
    three.total = two.total
    assert commit(root) is two
    back_up_rewards(root.children[0].children[0], one, 1.0)
    assert (one.visits, root.visits) == (6, 9)  # nothing above the committed node changes


def test_near_duplicates_merge_by_their_words() -> None:
    """{12 coins and, coins and 5, and 5 more, 5 more make} against the same with `makes`: 3 of 5 shingles."""

    def step(text: str, ids: tuple[int, ...], terminal: str = "") -> Node:
        return Node(id=1, parent=None, token_ids=ids, text=text, terminal=terminal)

    near = Expand(dedupe="near", near=0.6)
    one, two = step("12 coins and 5 more make", (1, 2)), step("12 coins and 5 more makes", (1, 3))
    assert (
        same_step(near, one, two)
        and not same_step(Expand(), one, two)
        and not same_step(Expand(dedupe="near", near=0.7), one, two)
    )
    assert not same_step(near, one, step("12 coins and 5 more make", (1, 2), "invalid"))


def test_no_gold_unless_outcomes_count() -> None:
    world = World.random(3)
    [tree] = grow(MctsDpo(outcome_weight=0), world, scorer=ToyScorer(world.value), gold=False)
    assert tree.scale is Scale.RANKING and not MctsDpo(outcome_weight=0).needs_gold and MctsDpo().needs_gold
    assert all(node.source == "policy" for node in tree.nodes)  # no gold step was put there


def test_where_all_paths_die_the_tree_ends_without_an_answer() -> None:
    world = World({(): {"a": 1.0}, ("a",): {"a": 1.0}}, {("a", "a"): None})
    for returns in (0, 4):
        [tree] = grow(MctsDpo(returns=returns), world, scorer=ToyScorer(lambda path: 0.5))
        assert tree.stopped == "exhausted" and not any(node.votes for node in tree.nodes)
        assert path_of(tree, max(tree.nodes, key=lambda node: node.depth)) == ("a", "a")


TRAPS = World(
    {(): {"a": 0.3, "b": 0.3, "c": 0.4}, ("b",): {"a": 0.5, "b": 0.5}, ("b", "b"): {"a": 1.0}},
    {("a",): None, ("b", "a"): None, ("b", "b", "a"): None, ("c",): 1.0},
)
"""a is dead, b dies one step later, bb two steps later; c leads to the answer."""


@pytest.mark.parametrize(
    ("returns", "stopped", "end"),
    [(0, "exhausted", "a"), (1, "answered", "c\nAnswer: 1"), (4, "answered", "c\nAnswer: 1")],
)
def test_a_dead_end_never_kills_a_tree(returns: int, stopped: str, end: str) -> None:
    """Without gold, values alone lead into the traps: a (.9), then b (.8), of which only what is tried is known to be
    dead."""
    values = {("a",): 0.9, ("b",): 0.8, ("b", "a"): 0.7, ("b", "b"): 0.6, ("b", "b", "a"): 0.5, ("c",): 0.1}
    search = MctsDpo(
        iterations=1, root_factor=1, horizon=1, returns=returns, outcome_weight=0, select=EVEN, expand=Expand(n=3)
    )
    [tree] = grow(search, TRAPS, scorer=ToyScorer(values.__getitem__), gold=False, cycle=True)
    assert tree.stopped == stopped
    assert [node.solution for node in tree.nodes if node.votes] == ([end] if stopped == "answered" else [])
    tried = {path_of(tree, node) for node in tree.nodes if node.expansions}
    assert tried == ({()} if not returns else {(), ("b",), ("b", "b"), ("c",)})


def test_the_committed_answer_is_right_as_often_as_the_tree_holds_a_right_one() -> None:
    """With outcomes alone and walks enough, 300 trees of two draws a node commit to a right answer wherever there is
    one: within 4 standard errors of the enumerated chance that one is drawn."""
    world = World.random(4, depth=2, right=0.15)
    exact = containing_right(world, 2)
    search = MctsDpo(iterations=60, root_factor=2, expand=Expand(n=2))
    trees = grow(search, world, scorer=ToyScorer(lambda path: 0.5), runs=300, seed=6)
    right = sum(node.outcome == 1.0 for tree in trees for node in tree.nodes if node.votes) / 300
    assert 0.1 < exact < 0.9 and abs(right - exact) < 4 * math.sqrt(exact * (1 - exact) / 300)
