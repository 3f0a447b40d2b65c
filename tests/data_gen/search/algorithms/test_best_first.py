"""Best-first search: a trace by hand, unbiased rewards of the real rollouts scorer, stops."""

from __future__ import annotations

import heapq
import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.scorers import GrantedGold, Tools
from data_gen.scorers.rollouts import Rollouts
from data_gen.search import Expand
from data_gen.search.algorithms.best_first import BestFirst, pop
from data_gen.search.node import Node
from tests.data_gen.search.algorithms.test_mcts import containing_right, worlds
from tests.data_gen.search.toy import CODEC, Path, ToyScorer, ToyTask, World, grow, letters_of, path_of

WIDE = World(
    {(): {"a": 0.4, "b": 0.3, "c": 0.3}, ("b",): {"a": 0.5, "b": 0.5}},
    {("a",): 0.0, ("c",): 1.0, ("b", "a"): 0.0, ("b", "b"): 1.0},
)
VALUES: dict[Path, float] = {("a",): 0.5, ("b",): 0.75, ("c",): 0.5, ("b", "a"): 0.25, ("b", "b"): 0.5}


def test_a_trace_by_hand() -> None:
    """Expanded: root; b (.75); bb (.5, deeper than a and c); then bb's answer is on top (.5, deepest) and counted; a
    (.5, older than c), its answer on top (.5) and counted: two."""
    [tree] = grow(
        BestFirst(answers=2, expand=Expand(n=3)), WIDE, scorer=ToyScorer(VALUES.__getitem__), gold=False, cycle=True
    )
    assert [node.solution for node in tree.nodes[1:]] == [
        "a\n",
        "b\n",
        "c\n",
        "b\na\n",
        "b\nb\n",
        "b\nb\nAnswer: 1",
        "a\nAnswer: 0",
    ]
    assert tree.stopped == "answered"
    assert {path_of(tree, node): node.weight for node in tree.nodes if node.votes} == {("b", "b"): 0.5, ("a",): 0.5}


def test_to_the_end_of_everything() -> None:
    for wave in (1, 2, 10):
        search = BestFirst(answers=None, wave=wave, expand=Expand(n=3))
        [tree] = grow(search, WIDE, scorer=ToyScorer(VALUES.__getitem__), gold=False, cycle=True)
        assert tree.stopped == "exhausted" and sum(node.terminal == "answer" for node in tree.nodes) == 4
    [tree] = grow(
        BestFirst(expansions=2, expand=Expand(n=3)), WIDE, scorer=ToyScorer(VALUES.__getitem__), gold=False, cycle=True
    )
    assert tree.stopped == "budget" and sum(node.expansions for node in tree.nodes) == 2


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(1, 3), st.sampled_from(["", "", "answer", "invalid"])), max_size=12
    ),
    st.integers(1, 4),
)
def test_pop_takes_the_best_open_ones_and_counts_what_ended_before(kinds: list[tuple[int, int, str]], n: int) -> None:
    nodes = [
        Node(id=i, parent=None, token_ids=(), text="", depth=depth, value=value / 4, terminal=terminal)
        for i, (value, depth, terminal) in enumerate(kinds)
    ]
    ranked = sorted(nodes, key=lambda node: (-(node.value or 0.0), -node.depth, node.id))
    open_ones = [node for node in ranked if not node.terminal][:n]
    passed = ranked if len(open_ones) < n else ranked[: ranked.index(open_ones[-1]) + 1]
    frontier = list(nodes)
    assert pop(frontier, n) == (open_ones, sum(node.terminal == "answer" for node in passed))
    assert set(frontier) == set(nodes) - set(passed)


def reference(world: World, values: dict[Path, float], expansions: int, wave: int, answers: int) -> list[str]:
    """Section 3.1 with a heap, over a world whose children are all drawn: texts in the order in which they are made."""
    made, frontier, answered, left = [""], [(0.0, 0, 0)], 0, expansions
    while left and answered < answers:
        chosen: list[int] = []
        while frontier and len(chosen) < min(wave, left):
            *_, number = heapq.heappop(frontier)
            ends = number and not made[number].endswith("\n")
            answered += bool(ends)
            chosen += [] if ends else [number]
        if not chosen or answered >= answers:
            break
        left -= len(chosen)
        for parent in chosen:
            for line, _ in world.lines(letters_of(made[parent])):
                made.append(made[parent] + line)
                path = letters_of(made[-1])
                depth = len(path) + ("Answer" in line)
                heapq.heappush(frontier, (-values[path], -depth, len(made) - 1))
    return made


@settings(max_examples=40, deadline=None)
@given(
    worlds,
    st.lists(st.integers(0, 3), min_size=40, max_size=40),
    st.integers(1, 20),
    st.integers(1, 4),
    st.integers(1, 5),
)
def test_the_order_is_that_of_a_heap(world: World, values: list[int], expansions: int, wave: int, answers: int) -> None:
    """Values are quarters, so ties are common: the deepest first, then the oldest."""
    names = world.named([value / 4 for value in values])
    search = BestFirst(expansions=expansions, wave=wave, answers=answers, expand=Expand(n=3))
    [tree] = grow(search, world, scorer=ToyScorer(names.__getitem__), gold=False, cycle=True)
    assert [node.solution for node in tree.nodes] == reference(world, names, expansions, wave, answers)


def test_rewards_are_shares_of_rollouts_and_rollouts_stay() -> None:
    """The paper's setting on the real scorer: 300 trees; a first step's mean reward lies within 4 standard errors of
    P(correct)."""
    world = World.random(6)
    scorer = Rollouts(m=8).open(Tools(codec=CODEC, gold=GrantedGold(ToyTask(), CODEC)))
    trees = grow(BestFirst(expansions=2, expand=Expand(n=3)), world, scorer=scorer, runs=300)
    right, total = Counter[Path](), Counter[Path]()
    for tree in trees:
        for node in tree.nodes[1:]:
            if node.source == "policy" and not node.terminal:
                assert node.value == node.mc_correct / 8 and len(node.rollouts()) == node.mc_total == 8
                assert node.mc_correct == sum(leaf.outcome or 0.0 for leaf in node.rollouts())
            if node.depth == 1 and node.source == "policy":
                right[path_of(tree, node)] += int(node.mc_correct)
                total[path_of(tree, node)] += int(node.mc_total)
        assert tree.generated_tokens == sum(len(node.token_ids) * node.draws for node in tree.nodes[1:])
    for path, n in total.items():
        p = world.value(path)
        assert abs(right[path] / n - p) < 4 * math.sqrt(p * (1 - p) / n) + 1e-9
    assert len(total) == 3


def test_it_finds_what_its_draws_hold() -> None:
    """Rewards from 16 rollouts, two draws a node, until the first right answer is on top of the frontier (wrong ones
    are worth 0 and come last): 200 trees within 4 standard errors of the enumerated chance that the exhausted tree
    holds one."""
    world = World.random(4, right=0.15)
    exact = containing_right(world, 2)
    scorer = Rollouts(m=16).open(Tools(codec=CODEC, gold=GrantedGold(ToyTask(), CODEC)))
    trees = grow(BestFirst(expansions=60, expand=Expand(n=2)), world, scorer=scorer, runs=200)
    answers = [node for tree in trees for node in tree.nodes if node.outcome == 1.0 and node.source == "policy"]
    assert abs(len(answers) / 200 - exact) < 4 * math.sqrt(exact * (1 - exact) / 200)


def test_a_probe_that_agrees_ends_the_tree_and_stays_in_it() -> None:
    sure = World({(): {"a": 0.5, "b": 0.5}}, {("a",): 1.0, ("b",): 1.0})
    for world, decided in ((sure, True), (WIDE, False)):
        [tree] = grow(BestFirst(probe=6, expand=Expand(n=3)), world, scorer=ToyScorer(lambda path: 0.5), cycle=True)
        assert (tree.stopped == "decided") is decided
        assert len(tree.root.rollouts()) == tree.root.mc_total == 6 and bool(tree.root.steps()) is not decided
    assert BestFirst(probe=4).needs_gold and not BestFirst().needs_gold


def test_tokens_of_rollouts_count_against_the_budget() -> None:
    scorer = Rollouts(m=8).open(Tools(codec=CODEC, gold=GrantedGold(ToyTask(), CODEC)))
    [tree] = grow(BestFirst(token_budget=50, expand=Expand(n=3)), World.random(6), scorer=scorer)
    assert tree.stopped == "budget" and sum(node.expansions for node in tree.nodes) == 1
    assert pytest.approx(tree.generated_tokens, abs=60) == 3 * 2 + 8 * 3 * 7
