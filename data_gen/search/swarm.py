"""What particle filters share: a swarm of weighted paths, one sweep of it from the prompt to the last end."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from data_gen.search.algorithms.beam import lives
from data_gen.search.base import Search
from data_gen.search.node import Node
from data_gen.search.potentials import Potential
from data_gen.search.resample import Resample, log_sum, normalised
from data_gen.search.tree import SearchTree


@dataclass(slots=True)
class Swarm:
    """Paths (particles on one node share it) with log-weights, whose mean over runs estimates the target's
    normaliser."""

    nodes: list[Node]
    log_weights: list[float]

    @property
    def running(self) -> bool:
        """A path may still go on and counts for something; one that can have no answer has weight 0."""
        return any(not node.terminal and w > -math.inf for node, w in zip(self.nodes, self.log_weights, strict=True))

    def votes(self) -> list[tuple[Node, float]]:
        """Final paths with normalised weights, those without an answer left out."""
        weighted = zip(self.nodes, normalised(self.log_weights), strict=True)
        return [(node, weight) for node, weight in weighted if node.terminal == "answer"]

    def pick(self, rng: random.Random) -> Node | None:
        """An answered path, drawn by weight."""
        votes = self.votes()
        return rng.choices([node for node, _ in votes], [weight for _, weight in votes])[0] if votes else None

    def become(self, ancestors: Sequence[int]) -> None:
        """Every path continues its ancestor; all weigh the mean of before."""
        mean = log_sum(self.log_weights) - math.log(len(self.nodes))
        self.nodes = [self.nodes[i] for i in ancestors]
        self.log_weights = [mean] * len(ancestors)


class Filter(Search):
    """A search by sequential Monte Carlo. Its `expand` is the proposal, and with it the base measure: what is sampled
    at another temperature is weighed against the tempered policy, since engines report log-probs of the untempered one
    only; and `dedupe: near`, which lets the first of two like steps stand for both, is another proposal, too."""

    one_draw: ClassVar[bool] = True

    n: int = Field(16, ge=1)
    """Paths (particles), over all sweeps together."""
    potential: Potential = Potential()
    resample: Resample = Resample()

    def width(self) -> int:
        """All paths at once."""
        return self.n

    def draws(self) -> int:
        """Every path to the depth limit."""
        return self.n * self.max_depth

    async def sweep(self, tree: SearchTree, n: int, turn: int = 0) -> Swarm:
        """n paths from the prompt to their ends; the last round is not resampled, its weights are the result."""
        swarm, step = Swarm([tree.root] * n, [0.0] * n), 0
        while swarm.running:
            step, before = step + 1, swarm.nodes
            swarm.nodes = await tree.advance(before, self.expand)
            await self.weigh(tree, swarm, before)
            if swarm.running and self.resample.due(swarm.log_weights):
                swarm.become(self.resample.ancestors(swarm.log_weights, tree.rng("sweep", turn, step)))
        return swarm

    async def weigh(self, tree: SearchTree, swarm: Swarm, before: Sequence[Node]) -> None:
        """Value the new ends and multiply this round's factors in; what died weighs nothing and asks nothing of the
        scorer."""
        await tree.evaluate([node for node in dict.fromkeys(swarm.nodes) if lives(node)])
        for i, (old, new) in enumerate(zip(before, swarm.nodes, strict=True)):
            factor = self.potential.factor(old, new, tree.scale) if lives(new) else -math.inf
            swarm.log_weights[i] = factor + (swarm.log_weights[i] if self.resample.carry else 0.0)
