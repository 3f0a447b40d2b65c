"""UCT: a trace by hand, sums over exhausted trees, starving siblings, first values."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.records.scales import Scale
from data_gen.search import Expand
from data_gen.search.algorithms.uct import Uct
from data_gen.search.select import Ucb
from tests.data_gen.search.algorithms.test_mcts import FORK, containing_right, visits, worlds
from tests.data_gen.search.toy import Path, ToyScorer, World, grow

DEEP = World(
    {(): {"a": 0.5, "b": 0.5}, ("a",): {"a": 0.5, "b": 0.5}},
    {("a", "a"): 1.0, ("a", "b"): 1.0, ("b",): 1.0},
)
"""Every answer is right."""


def test_a_trace_by_hand() -> None:
    """Rollout 1: a, aa (the oldest of equals), right: +1 for aa, a and the root. 2: a again (1 + 2 sqrt(ln 1 / 1)
    against 0), there ab, as aa has nothing open: -1. 3: b: -1. Then nothing is open."""
    [tree] = grow(Uct(rollouts=9, expand=Expand(n=2)), FORK, cycle=True)
    assert [node.solution for node in tree.nodes[1:]] == [
        "a\n",
        "b\n",
        "a\na\n",
        "a\nb\n",
        "a\na\nAnswer: 1",
        "a\nb\nAnswer: 0",
        "b\nAnswer: 0",
    ]
    assert visits(tree) == {
        "": 3,
        "a": 2,
        "b": 1,
        "a a": 1,
        "a b": 1,
        "a a Answer: 1": 1,
        "a b Answer: 0": 1,
        "b Answer: 0": 1,
    }
    assert [node.q for node in tree.nodes] == [pytest.approx(-1 / 3), 0, -1, 1, -1, 1, -1, -1]
    assert tree.stopped == "exhausted" and [node.solution for node in tree.nodes if node.votes] == ["a\na\nAnswer: 1"]


@settings(max_examples=25, deadline=None)
@given(worlds, st.sampled_from([Ucb(c=2, k=1, fpu="zero"), Ucb(fpu="inf"), Ucb(fpu="parent")]))
def test_an_exhausted_tree_holds_the_mean_outcome_of_its_ends(world: World, select: Ucb) -> None:
    [tree] = grow(Uct(rollouts=100, select=select, expand=Expand(n=3)), world, cycle=True)
    assert tree.stopped == "exhausted"
    for node in tree.nodes:
        ends = [2 * (below.outcome or 0.0) - 1 for below in node.walk() if below.terminal]
        assert (node.visits, node.total) == (len(ends), sum(ends))


def test_solve_rates_of_exhausted_trees_are_exact() -> None:
    """400 trees, two draws a node: within 4 standard errors of the enumerated chance."""
    world = World.random(4, right=0.15)
    exact = containing_right(world, 2)
    trees = grow(Uct(rollouts=100, expand=Expand(n=2)), world, runs=400, seed=11)
    found = sum(any(node.outcome == 1.0 for node in tree.nodes) for tree in trees) / 400
    assert abs(found - exact) < 4 * math.sqrt(exact * (1 - exact) / 400)


def test_the_best_first_step_by_q_comes_to_the_optimum() -> None:
    """Regret of the first step of the greatest Q against the exact shares of right answers: falls with the rollouts, to
    0 when all 27 answers are in."""
    regrets: dict[int, list[float]] = {3: [], 9: [], 27: []}
    for seed in range(40):
        world = World.random(seed, right=0.4)
        share = {
            letter: sum(right or 0.0 for path, right in world.right.items() if path[0] == letter) / 9
            for letter in "abc"
        }
        for rollouts, found in regrets.items():
            [tree] = grow(Uct(rollouts=rollouts, select=Ucb(), expand=Expand(n=3)), world, cycle=True)
            best = max((node for node in tree.root.steps() if node.visits), key=lambda node: node.q)
            found.append(max(share.values()) - share[best.text.strip()])
    means = [sum(found) / len(found) for found in regrets.values()]
    assert means[0] > means[1] > means[2] == 0


def test_first_play_zero_starves_siblings_and_infinity_does_not() -> None:
    """The released behaviour: while a's Q is positive, b, unvisited, scores 0 and waits until nothing is open below
    a."""

    def order(fpu: str) -> list[str]:
        [tree] = grow(Uct(rollouts=2, select=Ucb(c=2, k=1, fpu=fpu), expand=Expand(n=2)), DEEP, cycle=True)  # type: ignore[arg-type]
        return [node.solution for node in tree.nodes if node.outcome is not None]

    assert order("zero") == ["a\na\nAnswer: 1", "a\nb\nAnswer: 1"] and order("inf") == [
        "a\na\nAnswer: 1",
        "b\nAnswer: 1",
    ]


def test_a_preference_model_starts_every_q() -> None:
    """value_visits 1: b is tried first for its value .8 (Q .8 against .1); its wrong answer leaves it (.8 - 1) / 2 =
    -.1 < .1."""
    values = {("a",): 0.1, ("b",): 0.8, ("a", "a"): 0.0, ("a", "b"): 0.3}
    select = Ucb(c=0.0, value_visits=1)
    [tree] = grow(
        Uct(rollouts=2, select=select, expand=Expand(n=2)),
        FORK,
        scorer=ToyScorer(values.__getitem__, Scale.SIGNED),
        cycle=True,
    )
    assert [node.solution for node in tree.nodes if node.outcome is not None] == ["b\nAnswer: 0", "a\nb\nAnswer: 0"]
    assert select.worth(tree.root.steps()[1], tree.root) == pytest.approx(-0.1)


def test_scored_siblings_keep_their_bonus() -> None:
    """Every step is worth .5 and every answer right, so Q of a step that was taken stays above its siblings'. Scored
    steps count as visited once, so their bonus c * sqrt(ln N) grows: three rollouts take three steps. With values in Q
    alone the first step would be taken until nothing is open below it."""
    world = World(
        {(): {x: 0.25 for x in "abcd"}, **{(x,): {y: 0.25 for y in "abcd"} for x in "abcd"}},
        {(x, y): 1.0 for x in "abcd" for y in "abcd"},
    )
    search = Uct(rollouts=12, select=Ucb(c=2, k=1, fpu="zero", value_visits=1), expand=Expand(n=4))
    [tree] = grow(search, world, scorer=ToyScorer(lambda path: 0.5, Scale.SIGNED), cycle=True)
    assert [bool(child.steps()) for child in tree.root.steps()] == [True] * 4


Counts = dict[tuple[Path, str], list[float]]


def reference(world: World, values: dict[Path, float], rollouts: int, c: float) -> dict[str, tuple[int, float]]:
    """rStar-Math's search with a preference model, without trees or engines, over a world whose children are all drawn:
    text -> (N, W), where N counts the visit that a scored step begins with."""
    counts: Counts = {((), ""): [0, 0.0]}
    done: set[Path] = set()

    def expand(path: Path) -> None:
        for letter in world.tree.get(path, ()):
            counts[(*path, letter), ""] = [1, values[*path, letter]]
        if path in world.right:
            outcome = 2 * (world.right[path] or 0.0) - 1
            counts[path, f"Answer: {int(world.right[path] or 0)}"] = [1, outcome]
            for end in range(len(path), -1, -1):
                counts[path[:end], ""][0] += 1
                counts[path[:end], ""][1] += outcome

    def score(path: Path) -> tuple[float, float, int]:
        [n, w], [above, _] = counts[path, ""], counts[path[:-1], ""]
        bonus = c * math.sqrt(math.log(above) / n) if above else 0.0
        return w / n + bonus, values[path], -list(world.tree[path[:-1]]).index(path[-1])

    expanded: set[Path] = set()
    for _ in range(rollouts):
        path: Path = ()
        while () not in done:
            if path not in expanded:
                expanded.add(path)
                expand(path)
            going = [(*path, x) for x in world.tree.get(path, ()) if (*path, x) not in done]
            if not going:
                done.add(path)
                while path and all((*path[:-1], x) in done for x in world.tree[path[:-1]]):
                    path = path[:-1]
                    done.add(path)
                break
            path = max(going, key=score)
    return {"".join(f"{x}\n" for x in path) + answer: (int(n), w) for (path, answer), (n, w) in counts.items()}


@settings(max_examples=40, deadline=None)
@given(worlds, st.lists(st.floats(-1, 1), min_size=40, max_size=40), st.integers(1, 30), st.floats(0, 3))
def test_with_a_preference_model_it_is_the_sequential_algorithm(
    world: World, values: list[float], rollouts: int, c: float
) -> None:
    names = world.named(values)
    select = Ucb(c=c, k=1, fpu="zero", value_visits=1)
    search = Uct(rollouts=rollouts, select=select, expand=Expand(n=3))
    [tree] = grow(search, world, scorer=ToyScorer(names.__getitem__, Scale.SIGNED), cycle=True)
    found = {
        node.solution: (node.visits, node.total)
        if node.terminal or node is tree.root
        else (node.visits + 1, pytest.approx(node.total + (node.value or 0.0)))
        for node in tree.nodes
    }
    assert reference(world, names, rollouts, c) == found


def test_without_outcomes_ends_are_worth_their_values() -> None:
    scorer = ToyScorer(lambda path: 0.75 if path == ("a", "b") else 0.25)
    [tree] = grow(Uct(outcomes=False, expand=Expand(n=2)), FORK, scorer=scorer, gold=False, cycle=True)
    assert tree.root.total == pytest.approx(0.5 - 0.5 - 0.5)
    assert [node.solution for node in tree.nodes if node.votes] == ["a\nb\nAnswer: 0"]


def test_endings_without_an_answer_are_losses_and_end_nothing() -> None:
    world = World(
        {(): {"a": 0.9, "b": 0.1}, ("b",): {"a": 0.5, "b": 0.5}}, {("a",): None, ("b", "a"): 0.0, ("b", "b"): 1.0}
    )
    [tree] = grow(Uct(rollouts=5, expand=Expand(n=2)), world, cycle=True)
    assert (tree.root.visits, tree.root.total) == (3, -1.0) and any(node.outcome == 1.0 for node in tree.nodes)


def test_what_nobody_can_judge_says_nothing() -> None:
    with pytest.raises(ValueError, match="scale: 'ranking' cannot hold outcomes"):
        Uct(scale=Scale.RANKING)
    assert not Uct().needs_scorer and Uct(outcomes=False).needs_scorer and not Uct(outcomes=False).needs_gold
    assert Uct(outcomes=False, probe=4).needs_gold
