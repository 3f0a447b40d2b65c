"""Particle Gibbs over steps (Puri et al., arXiv 2502.01618, section 3.3; Andrieu et al. 2010; ancestor sampling:
Lindsten et al. 2014).

Each sweep of the particle filter keeps one path, drawn from the sweep before. At every step the kept path competes with
its first steps up to there, and paths that resampling puts on it continue from there. Unlike in its_hub, any number of
paths is divided over the sweeps (`budget % iterations == 0` is asserted there), the kept path costs none of them,
ancestor sampling works, and all sweeps vote.
"""

from __future__ import annotations

import math
import random
from typing import Literal, Self

from pydantic import Field, model_validator

from data_gen.search.base import SEARCHES
from data_gen.search.node import Node
from data_gen.search.replay import replay
from data_gen.search.resample import multinomial, normalised
from data_gen.search.swarm import Filter, Swarm
from data_gen.search.tree import SearchTree


@SEARCHES.register("particle_gibbs")
class ParticleGibbs(Filter):
    """`n` paths divided over `iterations` sweeps as evenly as possible.

    `ParticleGibbs(n=10, iterations=3)` sweeps with 4, 3 and 3 new ones.

    Sweeps with a kept path use multinomial resampling, since only that is exact given the kept path. `resample.scheme`
    applies to the first sweep.
    """

    uses: Literal["particle_gibbs"] = "particle_gibbs"
    iterations: int = Field(2, ge=1)
    burn_in: int = Field(0, ge=0)
    """Number of first sweeps that do not vote. `iterations - 1` is the released behaviour."""
    ancestors: bool = False
    """At every resampling, the kept path may exchange its beginning for another path's, in proportion to how well its
    rest follows there. This mixes better. The engine scores the rest and the scorer the joined path, and both are
    charged."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.n < self.iterations:
            raise ValueError(
                f"n: {self.n} paths cannot be dealt over iterations={self.iterations}; every sweep needs one"
            )
        if self.burn_in >= self.iterations:
            raise ValueError(
                f"burn_in: of iterations={self.iterations} at least one must vote, got burn_in={self.burn_in}"
            )
        if self.ancestors and not self.potential.telescopes:
            raise ValueError("ancestors: needs a potential with a target (`kind` other than absolute)")
        if self.ancestors and (self.expand.temperature, self.expand.top_p, self.expand.segment) != (1.0, 1.0, "step"):
            raise ValueError(
                "ancestors: needs expand.temperature 1, top_p 1 and segment step, as the engine scores under that "
                "policy only"
            )
        return self

    async def grow(self, tree: SearchTree) -> None:
        """Sweep after sweep. The final paths of each sweep share one vote."""
        kept, votes = None, list[tuple[Node, float]]()
        for turn in range(self.iterations):
            n = self.n // self.iterations + (turn < self.n % self.iterations)
            swarm = await self.conditional(tree, n, kept, turn)
            kept = swarm.pick(tree.rng("keep", turn))
            votes += swarm.votes() if turn >= self.burn_in else []
        tree.vote(votes)
        tree.stopped = "answered" if votes else "exhausted"

    async def conditional(self, tree: SearchTree, n: int, kept: Node | None, turn: int) -> Swarm:
        """One sweep of n new paths and the kept one, which is the swarm's last. Without a kept path it is an ordinary
        sweep."""
        if kept is None:
            return await self.sweep(tree, n, turn)
        swarm, step = Swarm([tree.root] * (n + 1), [0.0] * (n + 1)), 0
        while swarm.running:
            step, before, rng = step + 1, swarm.nodes, tree.rng("sweep", turn, step + 1)
            swarm.nodes = [*await tree.advance(before[:n], self.expand), at(kept, step)]
            await self.weigh(tree, swarm, before)
            if swarm.running and self.resample.due(swarm.log_weights):
                free = multinomial(normalised(swarm.log_weights), n, rng)
                kept = await self._reborn(tree, swarm, kept, step, rng) if self.ancestors else kept
                swarm.become([*free, n])
                swarm.nodes[n] = at(kept, step)
        return swarm

    async def _reborn(self, tree: SearchTree, swarm: Swarm, kept: Node, step: int, rng: random.Random) -> Node:
        """The kept path with its beginning redrawn from the swarm's paths x, with weight w(x) * p(rest | x) * G(x and
        rest) / G(x)."""
        rest = kept.path()[step:]
        able = [
            node
            for node, w in zip(swarm.nodes, swarm.log_weights, strict=True)
            if w > -math.inf and bool(node.terminal) == (not rest)
        ]
        stems = list(dict.fromkeys(able))
        ends = {
            x: end
            for x, end in zip(stems, await replay(tree, stems, rest), strict=True)
            if end and end.terminal == "answer"
        }
        await tree.evaluate(list(ends.values()))
        logs = [
            w + self._follows(tree, node, ends[node]) if node in ends else -math.inf
            for node, w in zip(swarm.nodes, swarm.log_weights, strict=True)
        ]
        [chosen] = multinomial(normalised(logs), 1, rng)
        return ends[swarm.nodes[chosen]]

    def _follows(self, tree: SearchTree, beginning: Node, end: Node) -> float:
        """log p(rest | beginning) plus the gain in log-potential from the rest."""
        rest = end.path()[beginning.depth :]
        gained = self.potential.of_path(end, tree.scale) - self.potential.of_path(beginning, tree.scale)
        return sum(node.known_logprob for node in rest) + gained


def at(kept: Node, step: int) -> Node:
    """The node of a path after `step` steps."""
    return kept.path()[min(step, kept.depth) - 1]
