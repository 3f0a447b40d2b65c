"""SVDD: the choice by hand, its law by enumeration, the exact target with every token as a candidate."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
from pydantic import ValidationError

from data_gen.errors import UserError
from data_gen.records.scales import Scale
from data_gen.search import Expand, Search, SearchTree, top_tokens
from data_gen.search.algorithms.svdd import Svdd
from tests.data_gen.search.smc import distance, posterior
from tests.data_gen.search.toy import Path, ToyScorer, World, grow, path_of

STEPS = {"a": 0.5, "b": 0.3, "c": 0.2}
ONE_STEP = World({(): STEPS}, {("a",): 1.0, ("b",): 0.0, ("c",): 1.0})
VALUES = {("a",): 0.2, ("b",): 0.5, ("c",): 0.6}


def votes(trees: list[SearchTree]) -> dict[Path, float]:
    """Mean share of the vote of every leaf."""
    found = Counter[Path]()
    for tree in trees:
        for node in tree.nodes:
            found[path_of(tree, node)] += node.weight / len(trees)
    return {path: weight for path, weight in found.items() if weight}


def choice(m: int, alpha: float) -> dict[Path, float]:
    """Law of one choice among m draws by exp(v / alpha), over all draws."""
    law = Counter[Path]()
    for draws in itertools.product(STEPS, repeat=m):
        weights = [math.exp(VALUES[x,] / alpha) for x in draws]
        for x, weight in zip(draws, weights, strict=True):
            law[x,] += math.prod(STEPS[y] for y in draws) * weight / sum(weights)
    return law


@pytest.mark.parametrize("alpha", [0.1, 0.5])
def test_the_choice_follows_the_softmax_over_all_draws(alpha: float) -> None:
    """M = 3, two prefixes a tree, 600 trees: total variation below 0.045 from the enumerated law (its expectation is
    0.02)."""
    trees = grow(
        Svdd(n=2, alpha=alpha, expand=Expand(n=3)), ONE_STEP, scorer=ToyScorer(VALUES.__getitem__), gold=False, runs=600
    )
    assert distance(votes(trees), choice(3, alpha)) < 0.045
    assert distance(choice(3, alpha), {(x,): p for x, p in STEPS.items()}) > 0.1


def test_many_candidates_come_to_the_target() -> None:
    """With M = 30 the law is within 0.06 of p(x) exp(v / alpha) normalised; 400 paths."""
    trees = grow(
        Svdd(n=2, alpha=0.2, expand=Expand(n=30)), ONE_STEP, scorer=ToyScorer(VALUES.__getitem__), gold=False, runs=200
    )
    masses = {(x,): p * math.exp(VALUES[x,] / 0.2) for x, p in STEPS.items()}
    assert distance(votes(trees), {x: mass / sum(masses.values()) for x, mass in masses.items()}) < 0.06


def test_alpha_zero_takes_the_best_and_is_the_limit() -> None:
    for alpha in (0.0, 1e-4):
        trees = grow(
            Svdd(n=3, alpha=alpha, expand=Expand(n=4)),
            ONE_STEP,
            scorer=ToyScorer(VALUES.__getitem__),
            gold=False,
            runs=40,
            seed=2,
        )
        for tree in trees:
            drawn = [node for node in tree.nodes if node.depth == 1]
            assert sum(node.draws for node in drawn) == 12
            kept = {path_of(tree, node) for node in tree.nodes if node.votes}
            assert {("a",): 0, ("b",): 1, ("c",): 2}[max(kept)] == max("abc".index(node.text.strip()) for node in drawn)


def test_alpha_zero_by_hand() -> None:
    """Draws in turn a, b | c, a: the first prefix keeps b (0.5 over 0.2), the second c (0.6); they do not compete and
    share the vote."""
    [tree] = grow(
        Svdd(n=2, alpha=0, expand=Expand(n=2)), ONE_STEP, scorer=ToyScorer(VALUES.__getitem__), gold=False, cycle=True
    )
    assert votes([tree]) == {("b",): 0.5, ("c",): 0.5}
    assert tree.generated_tokens == sum(node.draws * len(node.token_ids) for node in tree.nodes[1:])


def test_resampled_across_prefixes_by_enumeration() -> None:
    """-R with two prefixes of two candidates: choices x, y independently, then two draws by exp(v / alpha) among them,
    whose answers vote by exp(v / alpha) again. 800 trees within 0.045 of the sum over all of it."""
    alpha, law, weight = 0.3, choice(2, 0.3), lambda x: math.exp(VALUES[x] / 0.3)
    exact = Counter[Path]()
    for pair in itertools.product(law, repeat=2):
        total = sum(map(weight, pair))
        for again in itertools.product(pair, repeat=2):
            chance = math.prod(law[x] for x in pair) * math.prod(weight(x) / total for x in again)
            for x in again:
                exact[x] += chance * weight(x) / sum(map(weight, again))
    trees = grow(
        Svdd(n=2, alpha=alpha, resample=True, expand=Expand(n=2)),
        ONE_STEP,
        scorer=ToyScorer(VALUES.__getitem__),
        gold=False,
        runs=800,
    )
    assert sum(exact.values()) == pytest.approx(1)
    assert distance(votes(trees), exact) < 0.045 < 0.1 < distance(exact, law)


def test_the_dead_are_not_chosen_while_another_lives() -> None:
    world = World({(): {"a": 0.5, "b": 0.5}}, {("a",): None, ("b",): 1.0})
    [tree] = grow(Svdd(n=3, expand=Expand(n=2)), world, scorer=ToyScorer(lambda path: 0.1), gold=False, cycle=True)
    assert votes([tree]) == {("b",): pytest.approx(1.0)}
    dead = World({(): {"a": 1.0}}, {("a",): None})
    for resample in (False, True):
        [tree] = grow(Svdd(n=2, resample=resample), dead, scorer=ToyScorer(lambda path: 0.1), gold=False)
        assert tree.stopped == "exhausted" and not votes([tree])


def test_on_any_scale_the_choice_is_the_same() -> None:
    world = World.random(4)
    one, two = (
        grow(Svdd(n=3, scale=scale), world, scorer=ToyScorer(world.value), gold=False)[0]
        for scale in (Scale.P, Scale.SIGNED)
    )
    assert [(n.text, n.votes) for n in one.nodes] == [(n.text, n.votes) for n in two.nodes]


TOKENWISE = {"candidates": "top", "max_depth": 40, "expand": Expand(n=31)}


@pytest.mark.parametrize("alpha", [0.5, 1.0])
def test_every_token_as_a_candidate_with_soft_values_is_exact(alpha: float) -> None:
    """M = the vocabulary and exact P(correct): the soft value is exact for a reward of 0 or 1, so leaves follow p(y)
    exp(r(y) / alpha): 1,200 paths within 0.05 over 9 leaves."""
    world = World.random(5, depth=2)
    exact = posterior(world, lambda path: world.value(path) / alpha)
    soft = grow(
        Svdd(n=6, alpha=alpha, value="soft", **TOKENWISE), world, scorer=ToyScorer(world.value), gold=False, runs=200
    )
    assert distance(votes(soft), exact) < 0.05
    assert distance(exact, world.leaves()) > 0.1


def test_top_tokens_by_hand() -> None:
    """The two likeliest of a .5, b .3, c .2 at the root, then the newline alone; the first answers are tokens of the
    answer line."""
    [tree] = grow(
        Svdd(n=1, alpha=0, candidates="top", max_depth=9, expand=Expand(n=2)),
        ONE_STEP,
        scorer=ToyScorer(VALUES.__getitem__),
        gold=False,
    )
    first = [node for node in tree.nodes if node.depth == 1]
    assert [node.text for node in first] == ["a", "b"] and [node.logprob for node in first] == pytest.approx(
        [math.log(0.5), math.log(0.3)]
    )
    [leaf] = [node for node in tree.nodes if node.votes]
    assert leaf.solution == "b\nAnswer: 0" and leaf.terminal == "answer" and leaf.depth == 6
    assert tree.generated_tokens == 0 and all(node.draws == 0 for node in tree.nodes[1:])
    reads = sum(len(tree.prompt_ids) + depth + 31 for depth in range(6))
    assert tree.scored_tokens == reads + sum(len(node.ids) for node in tree.nodes if node.value is not None)


def test_a_large_vocabulary_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top_tokens, "LARGEST", 30)
    with pytest.raises(
        UserError, match="candidates is 'top', which scores every token of the vocabulary, and this tokenizer has 31"
    ):
        grow(Svdd(**TOKENWISE), ONE_STEP, scorer=ToyScorer(VALUES.__getitem__), gold=False)


def test_settings_that_cannot_be() -> None:
    with pytest.raises(ValidationError, match="value: soft needs alpha > 0"):
        Svdd(value="soft", alpha=0)
    with pytest.raises(ValidationError, match="scale 'ranking' does not give"):
        Svdd(value="soft", scale=Scale.RANKING)
    with pytest.raises(ValidationError, match="max_depth: counts tokens"):
        Svdd(candidates="top")


def test_estimates_before_the_run() -> None:
    search: Search = Svdd(n=3, expand=Expand(n=5), max_depth=4)
    assert (search.width(), search.draws()) == (15, 60)
