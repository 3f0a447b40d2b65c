"""Best-of-N by hand and against the exact law of the best of n draws."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from data_gen.engines.base import Sample
from data_gen.records.scales import Scale
from data_gen.search import Expand
from data_gen.search.algorithms.best_of_n import BestOfN
from tests.data_gen.labelling.plant import ids_of
from tests.data_gen.search.toy import Path, ToyScorer, World, grow, path_of

LEAVES: dict[Path, float] = {("a",): 1.0, ("b",): 0.0, ("c",): 1.0}
WORLD = World({(): {"a": 0.5, "b": 0.3, "c": 0.2}}, LEAVES)
SCORES: dict[Path, float] = {("a",): 0.2, ("b",): 0.5, ("c",): 0.8}


def test_votes_are_the_scores_of_all_samples() -> None:
    [tree] = grow(BestOfN(n=8), WORLD, scorer=ToyScorer(SCORES.__getitem__), gold=False)
    leaves = {path_of(tree, node): node for node in tree.nodes[1:]}
    total = sum(leaf.draws * SCORES[path] for path, leaf in leaves.items())
    assert sum(leaf.votes for leaf in leaves.values()) == sum(leaf.draws for leaf in leaves.values()) == 8
    for path, leaf in leaves.items():
        assert leaf.votes == leaf.draws and leaf.weight == pytest.approx(leaf.draws * SCORES[path] / total)
    assert tree.generated_tokens == sum(leaf.draws * len(leaf.token_ids) for leaf in leaves.values())
    assert tree.scored_tokens == sum(len(leaf.token_ids) for leaf in leaves.values())


def test_the_best_of_three_follows_its_law() -> None:
    """P(best of 3 is x) = F(x)^3 - F(x-)^3; 1,500 trees, each frequency within 4.5 standard deviations."""
    trees = grow(BestOfN(n=3), WORLD, scorer=ToyScorer(SCORES.__getitem__), runs=1500)
    best = [max(tree.nodes[1:], key=lambda node: node.weight / max(1, node.votes)) for tree in trees]
    found = [path_of(tree, node) for tree, node in zip(trees, best, strict=True)]
    for path, p in {("a",): 0.5**3, ("b",): 0.8**3 - 0.5**3, ("c",): 1 - 0.8**3}.items():
        assert abs(found.count(path) / 1500 - p) < 4.5 * math.sqrt(p * (1 - p) / 1500)


def test_kept_in_steps_it_is_the_same_law_with_a_value_at_every_step() -> None:
    """The share of right solutions among 3,000 samples lies within 4.5 standard deviations of the exact value."""
    world = World.random(4)
    trees = grow(BestOfN(n=30, per_step=True), world, scorer=ToyScorer(world.value), runs=100)
    p = world.value(())
    share = sum(node.votes * (node.outcome or 0) for tree in trees for node in tree.nodes) / 3000
    assert abs(share - p) < 4.5 * math.sqrt(p * (1 - p) / 3000)
    for node in trees[0].nodes[1:]:
        assert node.value == pytest.approx(world.value(path_of(trees[0], node))) and node.depth <= 4
    [leaf] = {len(node.path()) for node in trees[0].nodes if node.votes}
    assert leaf == 4


def test_a_policy_that_never_ends_gets_no_votes() -> None:
    """Cut after 7 tokens nothing has an answer: no votes, all tokens charged, and no value asked of the scorer."""
    world, scorer = World.random(5, depth=4), ToyScorer(lambda path: 0.5)
    [tree] = grow(BestOfN(n=5, max_length=7), world, scorer=scorer, gold=False)
    assert {node.terminal for node in tree.nodes[1:]} == {"limit"} and not any(node.votes for node in tree.nodes)
    assert tree.generated_tokens == 35 and scorer.scored == []
    [tree] = grow(BestOfN(n=5, per_step=True, max_length=7), world, scorer=scorer, gold=False)
    assert not any(node.votes for node in tree.nodes) and {
        node.terminal for node in tree.nodes if not node.children
    } == {"limit"}


def test_a_ranking_votes_by_its_exponential_and_signed_values_by_p() -> None:
    for scale, score, weight in (
        (Scale.RANKING, -0.5, math.exp(-0.5)),
        (Scale.SIGNED, -0.5, 0.25),
        (Scale.PROGRESS, 0.5, 0.5),
    ):
        world = World({(): {"a": 0.5, "b": 0.5}}, {("a",): 1.0, ("b",): 1.0})
        values = {("a",): 1.0, ("b",): score}
        [tree] = grow(BestOfN(n=20, scale=scale), world, scorer=ToyScorer(values.__getitem__, scale))
        a, b = sorted(tree.nodes[1:], key=lambda node: path_of(tree, node))
        base = math.e if scale is Scale.RANKING else 1.0
        assert (b.weight / b.votes) / (a.weight / a.votes) == pytest.approx(weight / base)


def test_near_duplicates_with_other_answers_stay_apart() -> None:
    world = World({(): {"a": 1.0}}, {("a",): 0.5})
    [tree] = grow(BestOfN(n=16, expand=Expand(dedupe="near", near=0.1)), world, scorer=ToyScorer(lambda path: 0.5))
    assert sorted(node.answer or "" for node in tree.nodes[1:]) == ["0", "1"]


def test_an_idle_setting_is_refused() -> None:
    with pytest.raises(ValidationError, match="expand.n: 'best_of_n' draws one step of every path"):
        BestOfN(expand=Expand(n=8))


def test_solutions_that_were_drawn_before_come_first_and_are_charged() -> None:
    drawn = [
        Sample(token_ids=ids_of(f"Answer: {answer}", end=True), logprobs=(), finish="stop") for answer in (1, 0, 1)
    ]
    scorer = ToyScorer(lambda path: 0.5)
    [tree] = grow(BestOfN(n=2), WORLD, scorer=scorer, gold=False, given=drawn)
    assert [(leaf.answer, leaf.draws) for leaf in tree.nodes[1:]] == [("1", 1), ("0", 1)]
    assert tree.generated_tokens == sum(len(sample.token_ids) for sample in drawn[:2])
    [more] = grow(BestOfN(n=5), WORLD, scorer=scorer, gold=False, given=drawn)
    assert sum(leaf.votes for leaf in more.nodes) == 5
    assert (more.nodes[1].answer, more.nodes[1].draws) == ("1", 2)
