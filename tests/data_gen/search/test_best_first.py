"""Best-first search: the order of expansions by hand, the end of the frontier, and the best answer where values are exact."""

from __future__ import annotations

from data_gen.search import Expand
from data_gen.search.best_first import BestFirst
from tests.data_gen.search.toy import ToyScorer, World, grow, path_of

HALVES = {"a": 0.5, "b": 0.5}
WORLD = World(
    {(): {"a": 0.4, "b": 0.3, "c": 0.3}, **{(x,): HALVES for x in "abc"}},
    {("a", "a"): 0.0, ("a", "b"): 1.0, ("b", "a"): 1.0, ("b", "b"): 0.0, ("c", "a"): 0.0, ("c", "b"): 0.0},
)
VALUES = {("a",): 0.6, ("b",): 0.5, ("c",): 0.4, ("a", "a"): 0.3, ("a", "b"): 0.2, ("b", "a"): 0.9, ("b", "b"): 0.1}


def test_the_best_open_step_gets_children_by_hand() -> None:
    """Root; a (.6); b (.5), whose child ba (.9) comes next and answers; then c is left at .4 with the budget spent."""
    [tree] = grow(BestFirst(expansions=4, expand=Expand(n=3)), WORLD, scorer=ToyScorer(VALUES.__getitem__), gold=False, cycle=True)
    assert [path_of(tree, node) for node in tree.nodes if node.children] == [(), ("a",), ("b",), ("b", "a")]
    order = sorted((node for node in tree.nodes if node.children), key=lambda node: node.children[0].id)
    assert [path_of(tree, node) for node in order] == [(), ("a",), ("b",), ("b", "a")]
    [voted] = [node for node in tree.nodes if node.weight]
    assert path_of(tree, voted) == ("b", "a") and voted.terminal == "answer" and tree.stopped == "budget"


def test_a_frontier_that_runs_dry_ends_the_tree() -> None:
    world = World({(): HALVES}, {("a",): 1.0, ("b",): None})
    [tree] = grow(BestFirst(expansions=50, expand=Expand(n=4)), world, scorer=ToyScorer(world.value), gold=False, cycle=True)
    assert tree.stopped == "exhausted" and len([node for node in tree.nodes if node.children]) == 2


def test_exact_values_lead_to_a_right_answer() -> None:
    """With P(correct) as the value, every step on the way has a right end below it, and 3 + 1 expansions reach one."""
    for seed in range(20):
        world = World.random(seed, depth=3)
        [tree] = grow(BestFirst(expansions=4, expand=Expand(n=40)), world, scorer=ToyScorer(world.value), seed=seed)
        [voted] = [node for node in tree.nodes if node.weight]
        assert voted.outcome == 1.0
