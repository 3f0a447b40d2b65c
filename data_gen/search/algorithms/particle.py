"""Particle filtering over steps (Puri et al., "Rollout roulette", arXiv 2502.01618, section 3) and Feynman-Kac steering
of text (Singhal et al., arXiv 2501.06848, section 3). They are one algorithm with different potentials.

The default is particle filtering: weights (p / (1 - p))^(1/T) at every step, resampled every time. Unlike in the
released code (its_hub, probabilistic-inference-scaling), no resampling follows the last step, ended paths draw nothing,
resampling is systematic by default, and paths without an answer have weight 0. Unlike in FK steering's code, weights
are carried over steps without resampling.
"""

from __future__ import annotations

from typing import Literal

from data_gen.search.base import SEARCHES
from data_gen.search.swarm import Filter
from data_gen.search.tree import SearchTree


@SEARCHES.register("particle")
class Particle(Filter):
    """A particle filter over steps. Final paths vote with their last weights.

    `Particle(n=8, potential=Potential(kind="difference", reward="p", lam=10), resample=Resample(ess=0.5))` is FK
    steering with difference potentials and adaptive resampling.
    """

    uses: Literal["particle"] = "particle"

    async def grow(self, tree: SearchTree) -> None:
        """One sweep."""
        votes = (await self.sweep(tree, self.n)).votes()
        tree.vote(votes)
        tree.stopped = "answered" if votes else "exhausted"
