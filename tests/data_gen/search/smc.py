"""Sequential Monte Carlo against the truth: noisy worlds, exact targets, and the pooled weighted output of many
runs."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from data_gen.records.scales import Scale
from data_gen.search import SearchTree
from data_gen.search.algorithms.particle import Particle
from data_gen.search.resample import normalised
from data_gen.search.swarm import Swarm
from tests.data_gen.search.toy import LETTERS, Path, ToyScorer, World, distance, grow, path_of

Value = Callable[[Path], float]


class Recorded(Particle):
    """A particle filter that leaves its swarm on the tree."""

    async def grow(self, tree: SearchTree) -> None:
        tree.swarm = await self.sweep(tree, self.n)


def noisy_world(seed: int, depth: int, branching: int, noise: float = 0.25) -> tuple[World, Value]:
    """A random world and rewards: the truth (0 or 1) at the leaves, P(correct) + N(0, noise) inside, fixed per node."""
    world, rng = World.random(seed, depth=depth, branching=branching), random.Random(seed)
    inside = [path for d in range(depth) for path in itertools.product(LETTERS[:branching], repeat=d)]
    table = {path: world.value(path) + rng.gauss(0, noise) for path in inside}
    return world, lambda path: table.get(path, world.value(path))


def posterior(world: World, log_weight: Value) -> dict[Path, float]:
    """p(y) * exp(log_weight(y)), normalised, by enumeration."""
    masses = {path: p * math.exp(log_weight(path)) for path, p in world.leaves().items()}
    return {path: mass / sum(masses.values()) for path, mass in masses.items()}


def normaliser(world: World, log_weight: Value) -> float:
    """Sum over whole paths of p(y) * exp(log_weight(y))."""
    return sum(p * math.exp(log_weight(path)) for path, p in world.leaves().items())


@dataclass(frozen=True)
class Pooled:
    """The output of many runs: `unbiased` pools unnormalised weights, `votes` those that every run normalises for
    itself."""

    unbiased: dict[Path, float]
    votes: dict[Path, float]
    mean_weight: float
    """Mean of all final weights: an unbiased estimate of the target's normaliser."""
    noise: float
    """What a total variation between `votes` and their own mean comes to at most on average: half the sum over paths of
    the standard error between runs, since E|x| <= sd(x)."""

    def bound(self, runs: int, doubt: float = 1e-3) -> float:
        """A distance that an unbiased scheme exceeds with a probability below `doubt`: one run of `runs` moves it by 1
        / runs at most, so (McDiarmid) it exceeds its mean by t with a probability of at most exp(-2 runs t^2)."""
        return self.noise + math.sqrt(math.log(1 / doubt) / (2 * runs))


def pooled(search: Particle, world: World, value: Value, *, runs: int, seed: int = 0) -> Pooled:
    """Grow `runs` trees with rewards on an unbounded scale and pool their swarms."""
    recorded = Recorded.model_validate({**search.model_dump(exclude_unset=True), "scale": "odds"})
    trees = grow(recorded, world, scorer=ToyScorer(value, Scale.ODDS), gold=False, runs=runs, seed=seed)
    raw, votes, squares = Counter[Path](), Counter[Path](), Counter[Path]()
    for tree in trees:
        swarm: Swarm = tree.swarm
        own = Counter[Path]()
        for node, w, share in zip(swarm.nodes, swarm.log_weights, normalised(swarm.log_weights), strict=True):
            raw[path_of(tree, node)] += math.exp(w)
            own[path_of(tree, node)] += share
        votes.update(own)
        squares.update({path: share**2 for path, share in own.items()})
    total, mean = sum(raw.values()), {p: w / runs for p, w in votes.items()}
    noise = sum(math.sqrt(max(0.0, squares[p] / runs - m**2) / runs) for p, m in mean.items()) / 2
    return Pooled({p: w / total for p, w in raw.items()}, mean, total / (runs * search.n), noise)


__all__ = ["Pooled", "Recorded", "distance", "noisy_world", "normaliser", "pooled", "posterior"]
