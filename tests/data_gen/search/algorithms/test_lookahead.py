"""Look-ahead: values from k greedy steps on, kept in the tree and charged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from data_gen.search import Expand
from data_gen.search.algorithms.beam import Beam
from tests.data_gen.search.algorithms.test_beam import best_of, voters
from tests.data_gen.search.toy import Path, ToyScorer, World, distance, grow, path_of

TREE: dict[Path, dict[str, float]] = {
    (): {"a": 0.5, "b": 0.5},
    ("a",): {"a": 0.9, "b": 0.1},
    ("b",): {"a": 0.2, "b": 0.8},
}
WORLD = World(TREE, {("a", "a"): 0.0, ("a", "b"): 1.0, ("b", "a"): 0.0, ("b", "b"): 1.0})
VALUES = {("a",): 0.9, ("b",): 0.1, ("a", "a"): 0.2, ("a", "b"): 0.3, ("b", "a"): 0.1, ("b", "b"): 0.8}


def test_one_step_ahead_by_hand() -> None:
    """By itself a (0.9) beats b (0.1); one greedy step on they are aa (0.2) and bb (0.8), so b is kept."""
    [near] = grow(
        Beam(beams=1, expand=Expand(n=2)), WORLD, scorer=ToyScorer(VALUES.__getitem__), gold=False, cycle=True
    )
    [far] = grow(
        Beam(beams=1, expand=Expand(n=2), lookahead=1),
        WORLD,
        scorer=ToyScorer(VALUES.__getitem__),
        gold=False,
        cycle=True,
    )
    assert set(voters(near)) == {("a", "b")} and set(voters(far)) == {("b", "b")}
    first = {path_of(far, node): node.value for node in far.nodes if node.depth == 1}
    assert first == {("a",): 0.2, ("b",): 0.8}


def test_steps_ahead_are_kept_apart_and_charged() -> None:
    [tree] = grow(
        Beam(beams=1, expand=Expand(n=2), lookahead=2),
        WORLD,
        scorer=ToyScorer(VALUES.__getitem__),
        gold=False,
        cycle=True,
    )
    ahead = [node for node in tree.nodes if node.source == "lookahead"]
    # two children, two steps each (to the answer); then two children, one answer line each
    assert len(ahead) == 2 * 2 + 2 * 1
    assert not any(node.votes for node in ahead) and not any(
        node in parent.steps() for node in ahead for parent in node.up()
    )
    assert tree.generated_tokens == sum(len(node.token_ids) * node.draws for node in tree.nodes[1:])


@pytest.mark.parametrize("k", [1, 2, 3])
def test_values_are_those_of_the_greedy_continuation(k: int) -> None:
    world = World.random(7, depth=4)
    [tree] = grow(Beam(beams=2, lookahead=k), world, scorer=ToyScorer(world.value), gold=False)

    def greedy(path: Path, steps: int) -> Path:
        while steps and path not in world.right:
            path, steps = (*path, max(world.tree[path], key=world.tree[path].__getitem__)), steps - 1
        return path

    scored = [node for node in tree.nodes[1:] if node.source == "policy" and node.value is not None]
    assert len(scored) > 8
    for node in scored:
        assert node.value == pytest.approx(world.value(greedy(path_of(tree, node), k)))


def test_a_beam_that_looks_ahead_follows_its_exact_law() -> None:
    """One place, three draws, one greedy step ahead: P(leaf) by enumeration, which is another law than without looking.
    Over 1,200 trees and 9 leaves the total variation distance stays below 0.06 (its expectation is at most 0.035)."""
    world = World.random(3, depth=2)

    def ahead(path: Path) -> float:
        return world.value(
            path if path in world.right else (*path, max(world.tree[path], key=world.tree[path].__getitem__))
        )

    def law(value: Callable[[Path], float]) -> dict[Path, float]:
        return {
            leaf: best_of(world, (), leaf[0], 3, value) * best_of(world, leaf[:1], leaf[1], 3, value)
            for leaf in world.leaves()
        }

    trees = grow(
        Beam(beams=1, expand=Expand(n=3), lookahead=1),
        world,
        scorer=ToyScorer(world.value),
        gold=False,
        runs=1200,
        seed=1,
    )
    found = Counter(path for tree in trees for path in voters(tree))
    shares = {leaf: count / found.total() for leaf, count in found.items()}
    assert found.total() == 1200 and distance(shares, law(ahead)) < 0.06
    assert distance(law(ahead), law(world.value)) > 0.2  # so that the test tells them apart
