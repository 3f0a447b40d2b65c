"""Diverse verifier tree search (Beeching et al., "Scaling test-time compute with open models", 2024; search-and-learn).

There are n / M subtrees. Each is a greedy walk that keeps the best of M drawn steps. Three things differ from the
released code. Tokens are counted. A subtree whose M candidates all die continues from the best candidate that it had
cut. Of the last M candidates only the chosen one votes (there all M do).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from data_gen.search.algorithms.beam import Climb, Line
from data_gen.search.base import SEARCHES
from data_gen.search.node import Node


@SEARCHES.register("dvts")
class Dvts(Climb):
    """`subtrees` = n / M independent walks with `expand.n` = M candidates per step.

    Walks that reach the same node share it in the tree, but each chooses among its own draws only.
    """

    uses: Literal["dvts"] = "dvts"
    subtrees: int = Field(4, ge=1)

    @property
    def places(self) -> int:
        """One per subtree."""
        return self.subtrees

    def lines(self, root: Node) -> list[Line]:
        """One line with one place per subtree."""
        return [Line(1, [root]) for _ in range(self.subtrees)]
