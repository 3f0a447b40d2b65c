"""Particle filters: hand traces, dead and ended paths, and pooled weights against exact posteriors."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from data_gen.search import Expand
from data_gen.search.algorithms.particle import Particle
from data_gen.search.potentials import Potential
from data_gen.search.resample import Resample
from tests.data_gen.search.smc import distance, noisy_world, normaliser, pooled, posterior
from tests.data_gen.search.toy import Path, ToyScorer, World, grow, path_of

HALVES = {"a": 0.5, "b": 0.5}
TWO = World({(): HALVES, ("a",): HALVES, ("b",): HALVES}, {(x, y): float(x == y) for x in "ab" for y in "ab"})
VALUES: dict[Path, float] = {
    ("a",): 0.8,
    ("b",): 0.2,
    ("a", "a"): 0.5,
    ("a", "b"): 0.75,
    ("b", "a"): 0.5,
    ("b", "b"): 0.5,
}


def test_carried_weights_by_hand() -> None:
    """Never resampled: a and b in turn, then aa, ba, ab, bb; the answer line has the value of its path once more. With
    odds 4 and 1/4, then 1, 3, 1, 1 twice the final weights are 4 : 36 : 1/4 : 1/4."""
    [tree] = grow(
        Particle(n=4, resample=Resample(ess=0)), TWO, scorer=ToyScorer(VALUES.__getitem__), gold=False, cycle=True
    )
    expected = {("a", "a"): 4, ("a", "b"): 36, ("b", "a"): 0.25, ("b", "b"): 0.25}
    found = {path_of(tree, node): node.weight for node in tree.nodes if node.votes}
    assert found == pytest.approx({path: weight / 40.5 for path, weight in expected.items()})


def test_resampling_by_hand() -> None:
    """After the first step weights are 8 : .5 : 8 : .5 of 17, worth 2.25 of 4. The systematic points u/4, (1 + u)/4,
    ... meet the weights' edges 8/17, .5, 16.5/17, 1 so that below u = 15/17 all four go on from a, and above it
    everyone goes on from where it was."""
    trees = grow(
        Particle(n=4, resample=Resample(ess=0.9)),
        TWO,
        scorer=ToyScorer(VALUES.__getitem__),
        gold=False,
        cycle=True,
        runs=300,
    )
    second = [{"".join(path_of(tree, node)): node.draws for node in tree.nodes if node.depth == 2} for tree in trees]
    concentrated, spread = {"aa": 2, "ab": 2}, {"aa": 1, "ab": 1, "ba": 1, "bb": 1}
    assert second.count(concentrated) + second.count(spread) == 300
    assert abs(second.count(spread) / 300 - 2 / 17) < 4.5 * math.sqrt(2 / 17 * 15 / 17 / 300)


def test_the_default_is_particle_filtering_as_published() -> None:
    """One step, then the answer line: final votes are odds^(1/T) of the end, since all was resampled before it."""
    world = World({(): HALVES}, {("a",): 1.0, ("b",): 0.0})
    values = {("a",): 0.6, ("b",): 0.3}
    for t in (1.0, 2.0):
        trees = grow(
            Particle(n=6, potential=Potential(lam=1 / t)),
            world,
            scorer=ToyScorer(values.__getitem__),
            gold=False,
            runs=8,
        )
        both = [tree for tree in trees if sum(node.votes > 0 for node in tree.nodes) == 2]
        assert both
        for tree in both:
            a, b = sorted((node for node in tree.nodes if node.votes), key=lambda node: path_of(tree, node))
            assert (a.weight / a.votes) / (b.weight / b.votes) == pytest.approx((1.5 / (3 / 7)) ** (1 / t))
            assert (a.votes + b.votes) == 6


def test_no_resample_follows_the_last_step_and_ended_paths_draw_nothing() -> None:
    """b answers in its second step, a goes on for one more: in the third round only those at a draw; weights still
    differ at the end."""
    world = World({(): HALVES, ("a",): HALVES}, {("b",): 1.0, ("a", "a"): 1.0, ("a", "b"): 0.0})
    values = {("a",): 0.5, ("b",): 0.5, ("a", "a"): 0.9, ("a", "b"): 0.1}
    [tree] = grow(
        Particle(n=8, resample=Resample(ess=0.2)), world, scorer=ToyScorer(values.__getitem__), gold=False, cycle=True
    )
    at = {d: sum(node.draws for node in tree.nodes if node.depth == d) for d in (1, 2, 3)}
    assert at == {1: 8, 2: 8, 3: 4}
    assert tree.generated_tokens == sum(node.draws * len(node.token_ids) for node in tree.nodes[1:])
    assert tree.scored_tokens == sum(len(node.ids) for node in tree.nodes[1:])  # once a node, however many stand on it
    votes = {path_of(tree, node): (node.votes, node.weight / node.votes) for node in tree.nodes if node.votes}
    assert {path: n for path, (n, _) in votes.items()} == {("b",): 4, ("a", "a"): 2, ("a", "b"): 2}
    # odds 1, 9 and 1/9 count twice (letter and answer line); b, at even odds, is weighed again in every round.
    assert votes["a", "a"][1] / votes["b",][1] == pytest.approx(81) == votes["b",][1] / votes["a", "b"][1]


def test_dead_paths_weigh_nothing_and_are_replaced() -> None:
    """a ends without an answer: after the first round all four stand on b, and a's value was never asked for."""
    world, scorer = World({(): HALVES}, {("a",): None, ("b",): 1.0}), ToyScorer(lambda path: 0.5)
    [tree] = grow(Particle(n=4), world, scorer=scorer, gold=False, cycle=True)
    [leaf] = [node for node in tree.nodes if node.votes]
    assert (path_of(tree, leaf), leaf.votes, leaf.weight) == (("b",), 4, pytest.approx(1.0)) and (
        "a",
    ) not in scorer.scored


def test_without_resampling_the_dead_stay_dead() -> None:
    world = World({(): HALVES}, {("a",): None, ("b",): 1.0})
    [tree] = grow(
        Particle(n=4, resample=Resample(ess=0)), world, scorer=ToyScorer(lambda path: 0.5), gold=False, cycle=True
    )
    [leaf] = [node for node in tree.nodes if node.votes]
    assert (leaf.votes, leaf.weight) == (2, pytest.approx(1.0))


@pytest.mark.parametrize("n", [1, 5])
def test_when_all_die_or_never_end_nothing_votes(n: int) -> None:
    dead = World({(): HALVES}, {("a",): None, ("b",): None})
    for world, depth in ((dead, 16), (World.random(0, depth=5), 4)):
        [tree] = grow(Particle(n=n, max_depth=depth), world, scorer=ToyScorer(lambda path: 0.5), gold=False)
        assert not any(node.votes for node in tree.nodes) and tree.stopped == "exhausted"
        assert max(node.depth for node in tree.nodes) <= depth


def test_one_particle_is_one_sample() -> None:
    """800 trees of one path each: the policy's own law, total variation below 0.05."""
    world = World.random(12, depth=2)
    trees = grow(Particle(n=1), world, scorer=ToyScorer(world.value), gold=False, runs=800)
    found = Counter(path_of(tree, node) for tree in trees for node in tree.nodes if node.votes)
    assert found.total() == 800 and distance({p: c / 800 for p, c in found.items()}, world.leaves()) < 0.05


def test_the_swarm_does_not_depend_on_its_company() -> None:
    world, search = World.random(13), Particle(n=6, resample=Resample(scheme="multinomial"))
    alone = grow(search, world, scorer=ToyScorer(world.value), seed=5)[0].frozen(0, oracle=True)
    many = [t.frozen(0, oracle=True) for t in grow(search, world, scorer=ToyScorer(world.value), seed=5, runs=7)]
    assert many[0] == alone and len({str(t.nodes) for t in many}) > 1
    assert alone != grow(search, world, scorer=ToyScorer(world.value), seed=6)[0].frozen(0, oracle=True)


WORLD, REWARD = noisy_world(1, depth=3, branching=2)
LAM = 3.0


def target(path: Path) -> float:
    return LAM * REWARD(path)


CASES = [
    ("difference", 1.0),
    ("difference", 0.5),
    ("max", 0.5),
    ("sum", 0.5),
    ("current", 1.0),
    ("current", 0.5),
    ("final", 1.0),
]


@pytest.mark.parametrize(("kind", "ess"), CASES)
def test_weights_against_the_exact_posterior(kind: str, ess: float) -> None:
    """600 runs of 4 particles: unnormalised weights are unbiased, so that pooled they follow p(y) exp(3 r(y)) to a
    total variation below 0.06 (about 0.02 measured, all of it noise), and their mean is the normaliser to 8 %."""
    scheme = "multinomial" if ess == 1 else "systematic"
    search = Particle(
        n=4, potential=Potential(kind=kind, reward="odds", lam=LAM), resample=Resample(ess=ess, scheme=scheme)
    )
    found = pooled(search, WORLD, REWARD, runs=600)
    assert distance(found.unbiased, posterior(WORLD, target)) < 0.06
    assert found.mean_weight == pytest.approx(normaliser(WORLD, target), rel=0.08)


def test_absolute_weights_follow_their_own_posterior_and_not_the_reward_s() -> None:
    """Particle filtering as published targets p(y) * prod_t exp(lam r_t): with lam 1 pooled weights are within 0.06 of
    that and more than 0.12 from p(y) exp(r_T). The answer line counts the leaf's reward once more."""

    def along(path: Path) -> float:
        return sum(REWARD(path[:t]) for t in range(1, len(path) + 1)) + REWARD(path)

    found = pooled(Particle(n=4, potential=Potential(reward="odds")), WORLD, REWARD, runs=600)
    assert distance(found.unbiased, posterior(WORLD, along)) < 0.06
    assert distance(found.unbiased, posterior(WORLD, REWARD)) > 0.12


def test_carried_weights_keep_the_target_and_dropped_ones_lose_it() -> None:
    """The trap of FK steering's released code: difference potentials with ESS < n / 2. Carried: below 0.06; forgotten:
    above 0.25, and four times as many particles bring nothing."""
    for n, runs in ((4, 400), (16, 100)):
        potential = Potential(kind="difference", reward="odds", lam=LAM)
        kept = pooled(Particle(n=n, potential=potential, resample=Resample(ess=0.5)), WORLD, REWARD, runs=runs)
        dropped = pooled(
            Particle(n=n, potential=potential, resample=Resample(ess=0.5, carry=False)), WORLD, REWARD, runs=runs
        )
        assert distance(kept.unbiased, posterior(WORLD, target)) < 0.06
        assert distance(dropped.unbiased, posterior(WORLD, target)) > 0.25
        assert distance(dropped.votes, posterior(WORLD, target)) > 0.25


def test_votes_of_a_run_come_closer_with_more_particles() -> None:
    """Normalised within a run, weights are biased by O(1/n): above 0.1 with 2 particles (pooled unnormalised, below
    0.05), below 0.05 with 32."""
    few, many = (
        pooled(Particle(n=n, potential=Potential(kind="difference", reward="odds", lam=LAM)), WORLD, REWARD, runs=runs)
        for n, runs in ((2, 600), (32, 75))
    )
    exact = posterior(WORLD, target)
    assert (
        distance(few.votes, exact) > 0.1 and distance(few.unbiased, exact) < 0.05 and distance(many.votes, exact) < 0.05
    )


def test_tempered_proposals_are_their_own_base() -> None:
    """At temperature 2 the base measure is the tempered policy: here uniform-ish lines, p^(1/2) normalised at every
    step."""
    tempered = World(
        {
            path: {x: math.sqrt(p) / sum(map(math.sqrt, steps.values())) for x, p in steps.items()}
            for path, steps in WORLD.tree.items()
        },
        WORLD.right,
    )
    search = Particle(
        n=4, potential=Potential(kind="difference", reward="odds", lam=LAM), expand=Expand(temperature=2.0)
    )
    found = pooled(search, WORLD, REWARD, runs=500)
    assert distance(found.unbiased, posterior(tempered, target)) < 0.06


@pytest.mark.slow
def test_the_published_comparison() -> None:
    """81 leaves, lambda 3, noise 0.25, 32 particles: which schemes reach the target and which do not, whatever their
    number.

    The target is enumerated; the bound follows from the spread between the 1,600 runs (see `Pooled.bound`). The sound
    schemes' bias within a run, O(1/32), has to fit into it as well; the others exceed it.
    """
    world, reward = noisy_world(0, depth=4, branching=3)
    exact, runs = posterior(world, lambda path: LAM * reward(path)), 1600

    def reaches(kind: str, **how: object) -> bool:
        search = Particle(n=32, potential=Potential(kind=kind, reward="odds", lam=LAM), resample=Resample(**how))
        found = pooled(search, world, reward, runs=runs)
        return distance(found.votes, exact) <= found.bound(runs)

    assert reaches("difference") and reaches("difference", ess=0.5) and reaches("final")
    assert not reaches("difference", ess=0.5, carry=False) and not reaches("absolute")
