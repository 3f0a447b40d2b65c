"""What particle filters share: a swarm of weighted paths, and one sweep of it from the prompt to the last end."""

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
    """Paths with log-weights. Particles on one node share a path. The mean weight over runs estimates the target's
    normalizer."""

    nodes: list[Node]
    log_weights: list[float]

    @property
    def running(self) -> bool:
        """Whether some path with non-zero weight may still go on. A path that can have no answer has weight 0."""
        return any(not node.terminal and w > -math.inf for node, w in zip(self.nodes, self.log_weights, strict=True))

    def votes(self) -> list[tuple[Node, float]]:
        """Final paths with normalized weights. Paths without an answer are left out."""
        weighted = zip(self.nodes, normalised(self.log_weights), strict=True)
        return [(node, weight) for node, weight in weighted if node.terminal == "answer"]

    def pick(self, rng: random.Random) -> Node | None:
        """A path with an answer, drawn by weight."""
        votes = self.votes()
        return rng.choices([node for node, _ in votes], [weight for _, weight in votes])[0] if votes else None

    def become(self, ancestors: Sequence[int]) -> None:
        """Replaces every path by its ancestor. All get the mean of the previous weights."""
        mean = log_sum(self.log_weights) - math.log(len(self.nodes))
        self.nodes = [self.nodes[i] for i in ancestors]
        self.log_weights = [mean] * len(ancestors)


class Filter(Search):
    """A search by sequential Monte Carlo. `expand` is its proposal and also its base measure. Engines report only
    untempered log-probabilities, so samples at another temperature are weighted against the tempered policy. `dedupe:
    near`, which keeps the first of two similar steps for both, also changes the proposal."""

    one_draw: ClassVar[bool] = True

    n: int = Field(16, ge=1)
    """Paths (particles), summed over all sweeps."""
    potential: Potential = Potential()
    resample: Resample = Resample()

    def width(self) -> int:
        """All paths at once."""
        return self.n

    def draws(self) -> int:
        """Every path to the depth limit."""
        return self.n * self.max_depth

    async def sweep(self, tree: SearchTree, n: int, turn: int = 0) -> Swarm:
        """Advances n paths from the prompt to their ends. The last round is not resampled; its weights are the
        result."""
        swarm, step = Swarm([tree.root] * n, [0.0] * n), 0
        while swarm.running:
            step, before = step + 1, swarm.nodes
            swarm.nodes = await tree.advance(before, self.expand)
            await self.weigh(tree, swarm, before)
            if swarm.running and self.resample.due(swarm.log_weights):
                swarm.become(self.resample.ancestors(swarm.log_weights, tree.rng("sweep", turn, step)))
        return swarm

    async def weigh(self, tree: SearchTree, swarm: Swarm, before: Sequence[Node]) -> None:
        """Values the new ends and multiplies this round's factors into the weights. Dead paths get weight 0 and are not
        scored."""
        await tree.evaluate([node for node in dict.fromkeys(swarm.nodes) if lives(node)])
        for i, (old, new) in enumerate(zip(before, swarm.nodes, strict=True)):
            factor = self.potential.factor(old, new, tree.scale) if lives(new) else -math.inf
            swarm.log_weights[i] = factor + (swarm.log_weights[i] if self.resample.carry else 0.0)
