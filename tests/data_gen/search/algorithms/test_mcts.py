"""MCTS: a trace by hand, sums over exhausted trees, exact solve rates, waves, dead ends, scales."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.records.scales import Scale
from data_gen.search import Expand, SearchTree
from data_gen.search.algorithms.mcts import Mcts
from data_gen.search.select import Puct, Ucb
from tests.data_gen.search.toy import Path, ToyScorer, World, grow, path_of

FORK = World({(): {"a": 0.5, "b": 0.5}, ("a",): {"a": 0.5, "b": 0.5}}, {("a", "a"): 1.0, ("a", "b"): 0.0, ("b",): 0.0})
"""One right answer of three: a then a."""
VALUES = {(): 0.0, ("a",): 0.5, ("b",): -0.5, ("a", "a"): 0.2, ("a", "b"): 0.4}
worlds = st.builds(World.random, st.integers(0, 10_000), depth=st.integers(1, 3), branching=st.integers(1, 3))


def visits(tree: SearchTree) -> dict[str, int]:
    """Text of every visited partial solution -> N."""
    return {node.solution.replace("\n", " ").strip(): node.visits for node in tree.nodes if node.visits}


def containing_right(world: World, n: int, path: Path = ()) -> float:
    """P(an exhausted tree below `path` holds a right answer) when every node got n draws, by enumeration."""
    if path in world.right:
        p = world.right[path]
        return 0.0 if p is None else 1 - (1 - p) ** n
    letters = world.tree[path]
    inside = {letter: containing_right(world, n, (*path, letter)) for letter in letters}
    return sum(
        math.prod(letters[x] for x in drawn) * (1 - math.prod(1 - inside[x] for x in set(drawn)))
        for drawn in itertools.product(letters, repeat=n)
    )


def test_a_trace_by_hand() -> None:
    """c = 1, priors 1/2, first play 0, V as in VALUES, rewards +-1. Expanded: root; a (tie of scores, better V); ab (.5
    against .5, better V; wrong: -1 and then its V .4); b (0 + 1 against -.03 + .25; -1, -.5); aa, the last one open
    (+1, .2)."""
    search = Mcts(simulations=9, select=Puct(c=1.0, prior="uniform"), expand=Expand(n=2))
    [tree] = grow(search, FORK, scorer=ToyScorer(VALUES.__getitem__, Scale.SIGNED), cycle=True)
    assert [node.solution for node in tree.nodes[1:]] == [
        "a\n",
        "b\n",
        "a\na\n",
        "a\nb\n",
        "a\nb\nAnswer: 0",
        "b\nAnswer: 0",
        "a\na\nAnswer: 1",
    ]
    assert visits(tree) == {
        "": 8,
        "a": 5,
        "b": 2,
        "a a": 2,
        "a b": 2,
        "a b Answer: 0": 1,
        "b Answer: 0": 1,
        "a a Answer: 1": 1,
    }
    totals = {path_of(tree, node): node.total for node in tree.nodes if not node.terminal}
    assert totals == pytest.approx({(): -0.4, ("a",): 1.1, ("b",): -1.5, ("a", "a"): 1.2, ("a", "b"): -0.6})
    [best] = [node for node in tree.nodes if node.votes]
    assert best.solution == "a\na\nAnswer: 1" and tree.stopped == "exhausted"


def test_a_budget_of_simulations_counts_expansions() -> None:
    """A first wave finds only the root open, which is one simulation, not eight."""
    [tree] = grow(
        Mcts(simulations=8, wave=8, expand=Expand(n=2)), World.random(3), scorer=ToyScorer(lambda path: 0.5), cycle=True
    )
    assert sum(node.expansions for node in tree.nodes) == 8 and tree.stopped == "budget"


@settings(max_examples=25, deadline=None)
@given(
    worlds,
    st.integers(1, 5),
    st.sampled_from([Puct(), Puct(fpu="inf", prior="draws"), Ucb(), Ucb(c=2, k=1, fpu="parent")]),
)
def test_an_exhausted_tree_does_not_depend_on_how_it_was_walked(world: World, wave: int, select: Any) -> None:
    """Every inner node backs up its V once, every end its reward once: Q is their mean over what lies below."""
    search = Mcts(simulations=200, wave=wave, select=select, expand=Expand(n=3))
    [tree] = grow(search, world, scorer=ToyScorer(world.value), cycle=True)
    assert tree.stopped == "exhausted"
    for node in tree.nodes:
        below = list(node.walk())
        worths = [
            2 * world.value(path_of(tree, n)) - 1 if not n.terminal else 2 * (n.outcome or 0.0) - 1 for n in below
        ]
        assert node.visits == len(below) and node.total == pytest.approx(sum(worths))


@pytest.mark.parametrize("seed", [4, 9])
def test_solve_rates_of_exhausted_trees_are_exact(seed: int) -> None:
    """400 trees, two draws a node: within 4 standard errors of the enumerated chance that a right answer is among
    them."""
    world = World.random(seed, right=0.15)
    exact = containing_right(world, 2)
    trees = grow(
        Mcts(simulations=100, expand=Expand(n=2)), world, scorer=ToyScorer(lambda path: 0.5), runs=400, seed=seed
    )
    found = sum(any(node.outcome == 1.0 for node in tree.nodes) for tree in trees) / 400
    assert 0.1 < exact < 0.9 and abs(found - exact) < 4 * math.sqrt(exact * (1 - exact) / 400)


def test_q_of_the_best_first_step_comes_to_the_optimum() -> None:
    """Max backup over answers of any worth: the gap to the best answer of the world closes as simulations grow."""
    gaps: dict[int, list[float]] = {10: [], 20: [], 60: []}
    for seed in range(20):
        world = World.random(seed)
        worth = {path: (7 * i + seed) % 27 / 27 for i, path in enumerate(world.leaves())}
        ahead = {
            path: max(w for leaf, w in worth.items() if leaf[: len(path)] == path) for path in [*world.tree, *worth]
        }
        for simulations, found in gaps.items():
            search = Mcts(simulations=simulations, backup="max", outcome_weight=0, scale=Scale.P, expand=Expand(n=3))
            scorer = ToyScorer(lambda path, w=worth: w.get(path, 0.0))  # type: ignore[misc]
            [tree] = grow(search, world, scorer=scorer, gold=False, cycle=True)
            found.append(ahead[()] - max((node.q for node in tree.root.steps() if node.visits), default=0.0))
    means = [sum(found) / len(found) for found in gaps.values()]
    assert means[0] > 0.2 and means[0] > means[1] > means[2] == 0


def test_with_exact_values_the_answer_is_right_far_more_often_than_a_sample() -> None:
    world = World.random(4, right=0.15)
    search = Mcts(simulations=12, outcome_weight=0, expand=Expand(n=3))
    trees = grow(search, world, scorer=ToyScorer(world.value), gold=False, runs=200)
    right = sum(node.weight for tree in trees for node in tree.nodes if node.outcome == 1.0) / 200
    assert right > world.value(()) + 0.3


def test_dead_ends_never_end_a_tree() -> None:
    """The likeliest and best valued steps are dead or lead only to ends; what is open elsewhere is still expanded, to
    the last."""
    world = World(
        {(): {"a": 0.6, "b": 0.2, "c": 0.2}, ("b",): {"a": 0.5, "b": 0.5}, ("c",): {"a": 1.0}},
        {("a",): None, ("b", "a"): None, ("b", "b"): None, ("c", "a"): 1.0},
    )
    scorer = ToyScorer(lambda path: 0.01 if path[:1] == ("c",) else 0.99)
    [tree] = grow(Mcts(simulations=30, expand=Expand(n=6)), world, scorer=scorer, cycle=True)
    assert tree.stopped == "exhausted"
    assert {path_of(tree, node): node.terminal for node in tree.nodes if node.terminal} == {
        ("a",): "invalid",
        ("b", "a"): "invalid",
        ("b", "b"): "invalid",
        ("c", "a"): "answer",
    }
    [best] = [node for node in tree.nodes if node.votes]
    assert best.outcome == 1.0


dyadic = st.integers(0, 64).map(lambda i: i / 64)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 500),
    st.lists(dyadic, min_size=40, max_size=40),
    st.integers(1, 4),
    st.sampled_from(["mean_prob", "draws", "uniform"]),
)
def test_rescaling_keeps_the_walks(seed: int, values: list[float], wave: int, prior: Any) -> None:
    """[-1, 1] with c and first play 0 walks as [0, 1] with c/2 and first play 1/2 (values of few bits, so that ties
    stay ties)."""
    world = World.random(seed)
    names = world.named(values)
    signed = Mcts(simulations=13, wave=wave, select=Puct(c=1.0, prior=prior))
    p = Mcts(simulations=13, wave=wave, select=Puct(c=0.5, fpu="half", prior=prior), scale=Scale.P)
    one, other = (grow(search, world, scorer=ToyScorer(names.__getitem__))[0] for search in (signed, p))
    assert [(n.text, n.depth, n.visits) for n in one.nodes] == [(n.text, n.depth, n.visits) for n in other.nodes]
    unscaled = [(2 * n.q - 1, n.visits) for n in other.nodes if n.visits]
    assert [(n.q, n.visits) for n in one.nodes if n.visits] == [(pytest.approx(q, abs=1e-9), n) for q, n in unscaled]


def reference(
    world: World, values: dict[Path, float], simulations: int, c: float, wave: int
) -> dict[str, tuple[int, float]]:
    """The same algorithm without trees or engines, over a world whose children are all drawn: text -> (N, W).

    While a wave is chosen, each chosen leaf is out of reach, and every node on the way to it has one visit more, which
    was lost (-1).
    """
    counts: dict[tuple[Path, str], list[float]] = {((), ""): [0, 0.0]}
    expanded: set[Path] = set()

    def visit(path: Path, answer: str, worth: float) -> None:
        for key in [*([(path, answer)] if answer else []), *(((path[:i]), "") for i in range(len(path), -1, -1))]:
            counts[key][0] += 1
            counts[key][1] += worth

    def score(path: Path) -> tuple[float, float, int]:
        n, w = counts[path, ""]
        parent, letters = counts[path[:-1], ""][0], world.tree[path[:-1]]
        prior = math.sqrt(letters[path[-1]])  # two tokens, the second of which is sure
        return (
            (w / n if n else 0.0) + c * prior * math.sqrt(parent) / (1 + n),
            values[path],
            -list(letters).index(path[-1]),
        )

    def choose() -> list[Path]:
        """The leaves of one wave."""
        chosen: list[Path] = []
        real = {key: list(value) for key, value in counts.items()}

        def free(path: Path) -> bool:
            if path in expanded:
                return any(free((*path, x)) for x in world.tree.get(path, ()))
            return path not in chosen

        while len(chosen) < min(wave, left) and free(()):
            path: Path = ()
            while path in expanded:
                path = max(((*path, x) for x in world.tree[path] if free((*path, x))), key=score)
            chosen.append(path)
            for end in range(len(path) + 1):
                counts[path[:end], ""][0] += 1
                counts[path[:end], ""][1] -= 1
        counts.update(real)
        return chosen

    left = simulations
    while left and (leaves := choose()):
        left -= len(leaves)
        for path in leaves:
            expanded.add(path)
            for letter in world.tree.get(path, ()):
                counts[(*path, letter), ""] = [0, 0.0]
            if path in world.right:
                answer = f"Answer: {int(world.right[path] or 0)}"
                counts[path, answer] = [0, 0.0]
                visit(path, answer, 2 * (world.right[path] or 0.0) - 1)
            visit(path, "", values[path])
    return {"".join(f"{x}\n" for x in path) + answer: (int(n), w) for (path, answer), (n, w) in counts.items()}


@settings(max_examples=40, deadline=None)
@given(
    worlds, st.lists(st.floats(-1, 1), min_size=40, max_size=40), st.integers(1, 30), st.floats(0, 3), st.integers(1, 6)
)
def test_it_is_the_algorithm_without_trees_or_engines(
    world: World, values: list[float], simulations: int, c: float, wave: int
) -> None:
    names = world.named(values)
    search = Mcts(simulations=simulations, wave=wave, select=Puct(c=c), expand=Expand(n=3))
    [tree] = grow(search, world, scorer=ToyScorer(names.__getitem__, Scale.SIGNED), cycle=True)
    found = {node.solution: (node.visits, pytest.approx(node.total)) for node in tree.nodes}
    assert reference(world, names, simulations, c, wave) == found


def test_a_wave_is_wider_than_what_is_open() -> None:
    world = World.random(5, depth=2)
    [tree] = grow(Mcts(simulations=60, wave=50, expand=Expand(n=3)), world, scorer=ToyScorer(world.value), cycle=True)
    assert tree.stopped == "exhausted" and len(tree.nodes) == 1 + 3 + 9 + 9


def test_a_wave_spreads_and_leaves_no_trace_of_its_losses() -> None:
    """All score alike but for the losses, so three walks take three different steps; afterwards counts are those of
    real visits."""
    world = World.random(7)
    search = Mcts(simulations=4, wave=3, select=Puct(c=0.1, prior="uniform"), expand=Expand(n=3))
    [tree] = grow(search, world, scorer=ToyScorer(lambda path: 0.5), cycle=True)
    assert [node.expansions for node in tree.root.steps()] == [1, 1, 1]
    assert (tree.root.visits, tree.root.total) == (4, 0.0) and [(n.visits, n.total) for n in tree.root.steps()] == [
        (1, 0.0)
    ] * 3


def test_visit_weighted_backup_is_the_mean_of_the_children() -> None:
    world = World.random(8)
    [tree] = grow(Mcts(simulations=20, backup="visits"), world, scorer=ToyScorer(world.value))
    for node in (node for node in tree.nodes if node.visits):
        below = [child for child in node.steps() if child.visits]
        expected = sum(c.visits * c.q for c in below) / sum(c.visits for c in below) if below else node.q
        assert node.q == pytest.approx(expected)


def test_only_steps_of_the_search_can_be_its_answer() -> None:
    """Rollouts under a node say that it may lead to an answer; the search has not found that answer."""

    class Rolling(ToyScorer):
        async def __call__(self, prefixes: Any, lm: Any) -> Any:
            from data_gen.engines.base import Sample
            from data_gen.scorers.base import Rollout, Score

            found = Rollout(Sample(token_ids=(5,), logprobs=(0.0,), finish="stop"), "1", 1.0)
            return [Score(score.value, rollouts=(found,)) for score in await super().__call__(prefixes, lm)]

    [tree] = grow(
        Mcts(simulations=3, expand=Expand(n=3)), World.random(1), scorer=Rolling(lambda path: 0.5), cycle=True
    )
    assert not any(node.votes for node in tree.nodes) and all(
        node.rollouts() for node in tree.nodes if node.source == "policy"
    )


@pytest.mark.parametrize("scale", ["progress", "ranking"])
def test_scales_without_a_place_for_outcomes_are_refused(scale: str) -> None:
    with pytest.raises(ValueError, match=f"scale: '{scale}' cannot hold outcomes"):
        Mcts(scale=Scale(scale))
    [tree] = grow(
        Mcts(scale=Scale(scale), outcome_weight=0),
        World.random(2),
        scorer=ToyScorer(lambda path: 0.5, Scale(scale)),
        gold=False,
    )
    assert tree.nodes[1].visits


def test_tokens_are_a_budget_too() -> None:
    """Steps have 2 tokens, answers 4 with their end: root (6 tokens), then a node after another until 20 are spent."""
    [tree] = grow(
        Mcts(token_budget=20, expand=Expand(n=3)), World.random(2), scorer=ToyScorer(lambda path: 0.5), cycle=True
    )
    assert 20 <= tree.generated_tokens <= 26 and tree.stopped == "budget"
