"""ReST-MCTS*: a trace by hand, conserved counts, exact answer rates, the stop."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.records.scales import Scale
from data_gen.search import Expand
from data_gen.search.algorithms.rest_mcts import RestMcts
from tests.data_gen.search.algorithms.test_mcts import FORK, containing_right, visits, worlds
from tests.data_gen.search.toy import Path, ToyScorer, World, grow, letters_of, path_of

VALUES = {("a",): 0.4, ("b",): 0.3, ("a", "a"): 0.6, ("a", "b"): 0.2}


def progress(values: dict[Path, float]) -> ToyScorer:
    return ToyScorer(values.__getitem__, Scale.PROGRESS)


def test_a_trace_by_hand() -> None:
    """One rollout step, half and half. 1: root; best a, ahead of it aa (.6): .5. 2: b (unvisited); its answer ends
    there at .3, root (.5 + .3) / 2. 3: a; best aa, ahead of it its answer (.6): .6; V(a) = .6, V(root) = (2 * .6 + .3)
    / 3. 4: ab (unvisited): answer .2; V(a) = (.6 + .2) / 2, V(root) = (3 * .4 + .3) / 4. 5: aa: answer .6; V(a) = (2 *
    .6 + .2) / 3, V(root) = (4 * V(a) + .3) / 5."""
    search = RestMcts(iterations=9, roll_steps=1, expand=Expand(n=2))
    [tree] = grow(search, FORK, scorer=progress(VALUES), gold=False, cycle=True)
    made = [(node.solution, node.source) for node in tree.nodes[1:]]
    assert made == [
        ("a\n", "policy"),
        ("b\n", "policy"),
        ("a\na\n", "lookahead"),
        ("b\nAnswer: 0", "policy"),
        ("a\na\n", "policy"),
        ("a\nb\n", "policy"),
        ("a\na\nAnswer: 1", "lookahead"),
        ("a\nb\nAnswer: 0", "policy"),
        ("a\na\nAnswer: 1", "policy"),
    ]
    assert visits(tree) == {
        "": 5,
        "a": 4,
        "b": 1,
        "b Answer: 0": 1,
        "a a": 2,
        "a b": 1,
        "a b Answer: 0": 1,
        "a a Answer: 1": 1,
    }
    a = (2 * 0.6 + 0.2) / 3
    assert {path_of(tree, n): n.q for n in tree.nodes if n.visits and not n.terminal} == pytest.approx(
        {(): (4 * a + 0.3) / 5, ("a",): a, ("b",): 0.3, ("a", "a"): 0.6, ("a", "b"): 0.2}
    )
    votes = {path_of(tree, node): node.weight for node in tree.nodes if node.votes}
    assert (
        votes == pytest.approx({("b",): 0.3 / 1.1, ("a", "b"): 0.2 / 1.1, ("a", "a"): 0.6 / 1.1})
        and tree.stopped == "exhausted"
    )


def test_the_mix_takes_the_best_that_the_rollout_met() -> None:
    """.25 * .4 + .75 * .9 for a: its rollout meets .9 and then .1; without rollout steps a is worth itself."""
    world = World({(): {"a": 1.0}, ("a",): {"a": 1.0}, ("a", "a"): {"a": 1.0}}, {("a", "a", "a"): 1.0})
    values = {("a",): 0.4, ("a", "a"): 0.9, ("a", "a", "a"): 0.1}
    for steps, expected in ((2, 0.25 * 0.4 + 0.75 * 0.9), (0, 0.4)):
        [tree] = grow(RestMcts(iterations=1, roll_steps=steps, mix=0.75), world, scorer=progress(values), gold=False)
        assert tree.nodes[1].q == pytest.approx(expected)


def test_the_rollout_goes_on_from_the_best_of_its_draws() -> None:
    world = World({(): {"c": 1.0}, ("c",): {"a": 0.5, "b": 0.5}}, {("c", "a"): 0.0, ("c", "b"): 1.0})
    values = {("c",): 0.0, ("c", "a"): 0.2, ("c", "b"): 0.5}
    [tree] = grow(RestMcts(iterations=1, roll_width=2), world, scorer=progress(values), gold=False, cycle=True)
    assert [node.solution for node in tree.nodes if node.source == "lookahead"] == [
        "c\na\n",
        "c\nb\n",
        "c\nb\nAnswer: 1",
    ]


def test_a_good_answer_ends_the_search_and_a_good_step_does_not() -> None:
    values = {**VALUES, ("a",): 0.95, ("a", "a"): 0.92}
    [tree] = grow(RestMcts(expand=Expand(n=2)), FORK, scorer=progress(values), gold=False, cycle=True)
    assert tree.stopped == "answered" and max(n.value or 0 for n in tree.nodes if n.terminal and n.votes) == 0.92
    [whole] = grow(RestMcts(stop_at=None, expand=Expand(n=2)), FORK, scorer=progress(values), gold=False, cycle=True)
    assert whole.stopped == "exhausted"


@settings(max_examples=25, deadline=None)
@given(worlds, st.integers(1, 20), st.integers(0, 3))
def test_counts_are_conserved_and_v_is_the_weighted_mean(world: World, iterations: int, roll: int) -> None:
    """A node's visits are those of its children and, but for the root, the one before it had any."""
    search = RestMcts(iterations=iterations, roll_steps=roll, scale=Scale.P, stop_at=None, expand=Expand(n=3))
    [tree] = grow(search, world, scorer=ToyScorer(world.value), gold=False)
    for node in tree.nodes:
        below = [child for child in node.steps() if child.visits]
        if below:
            assert node.visits - sum(child.visits for child in below) in ((0,) if node is tree.root else (0, 1))
            assert node.q == pytest.approx(sum(c.visits * c.q for c in below) / sum(c.visits for c in below))


def reference(
    world: World, values: dict[Path, float], rounds: int, roll: int, mix: float
) -> dict[str, tuple[int, float]]:
    """Algorithm 2 without trees or engines, over a world whose children are all drawn and whose look-aheads take the
    first line: text of each visited partial solution -> (N, V)."""
    below: dict[str, list[str]] = {}
    n, v, ended = {"": 0}, {"": 0.0}, set[str]()

    def lines(text: str) -> list[str]:
        return [text + line for line, _ in world.lines(letters_of(text))]

    def is_open(text: str) -> bool:
        return text not in ended and (text not in below or any(map(is_open, below[text])))

    def ucb(text: str, parent: str) -> tuple[float, float, int]:
        bonus = 0.7 * math.sqrt(2 * math.log(n[parent]) / n[text]) if n[text] else math.inf
        return (v[text] + bonus if n[text] else bonus, values[letters_of(text)], -below[parent].index(text))

    def visit(text: str, value: float, way: list[str]) -> None:
        n[text], v[text] = n[text] + 1, value
        for above in reversed(way):
            n[above] += 1
            seen = [child for child in below[above] if n[child]]
            v[above] = sum(n[child] * v[child] for child in seen) / sum(n[child] for child in seen)

    for _ in range(rounds):
        way = [""]
        if not is_open(""):
            break
        while way[-1] in below:
            parent = way[-1]
            way.append(max(filter(is_open, below[parent]), key=lambda text: ucb(text, parent)))
        family = below[way[-1]] = lines(way[-1])
        for child in family:
            n[child], v[child] = 0, values[letters_of(child)]
        ended.update(child for child in family if not child.endswith("\n"))
        for child in family:
            if child in ended:
                visit(child, values[letters_of(child)], way)
        best = max(family, key=lambda child: (values[letters_of(child)], -family.index(child)))
        if best not in ended:
            met, at = [], best
            while at.endswith("\n") and len(met) < roll:
                at = lines(at)[0]
                met.append(values[letters_of(at)])
            own = values[letters_of(best)]
            visit(best, (1 - mix) * own + mix * max(met, default=own), way)
    return {text: (n[text], pytest.approx(v[text])) for text in n if n[text]}


@settings(max_examples=40, deadline=None)
@given(
    worlds,
    st.lists(st.floats(0, 1), min_size=40, max_size=40),
    st.integers(1, 30),
    st.integers(0, 3),
    st.floats(0, 1),
)
def test_it_is_the_sequential_algorithm(world: World, values: list[float], rounds: int, roll: int, mix: float) -> None:
    names = world.named(values)
    search = RestMcts(iterations=rounds, roll_steps=roll, mix=mix, stop_at=None, expand=Expand(n=3))
    [tree] = grow(search, world, scorer=progress(names), gold=False, cycle=True)
    found = {node.solution: (node.visits, node.q) for node in tree.nodes if node.visits}
    assert found == reference(world, names, rounds, roll, mix)


def test_exact_progress_finds_what_there_is_to_find() -> None:
    """Values say how far along the best way a step is, so an answer worth 1 is right. Two draws a node: the search
    stops at one exactly where its draws hold one: 400 trees within 4 standard errors of the enumerated chance."""
    world = World.random(4, right=0.15)
    worth = {
        p: float(any(world.right[leaf] for leaf in world.leaves() if leaf[: len(p)] == p))
        for p in [*world.tree, *world.right]
    }
    values = {path: len(path) / 3 if alive else 0.0 for path, alive in worth.items()}
    exact = containing_right(world, 2)
    trees = grow(RestMcts(iterations=100, expand=Expand(n=2)), world, scorer=progress(values), gold=False, runs=400)
    right = sum(tree.stopped == "answered" for tree in trees) / 400
    assert abs(right - exact) < 4 * math.sqrt(exact * (1 - exact) / 400)
    assert all(any(n.outcome == 1.0 and n.votes for n in tree.nodes) == (tree.stopped == "answered") for tree in trees)
