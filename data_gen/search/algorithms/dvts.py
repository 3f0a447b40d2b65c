"""Diverse verifier tree search (Beeching et al., "Scaling test-time compute with open models", 2024; search-and-learn).

n / M subtrees, each a greedy walk: of M drawn steps the best is kept. Unlike in the released code tokens are counted, a
subtree whose M candidates all die goes on from the best that it had cut, and of the last M candidates only the chosen
one votes (there all M do).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from data_gen.search.algorithms.beam import Climb, Line
from data_gen.search.base import SEARCHES
from data_gen.search.node import Node


@SEARCHES.register("dvts")
class Dvts(Climb):
    """`subtrees` = n / M independent walks over `expand.n` = M candidates a step.

    Walks that happen to stand on one node share it in the tree, but each chooses among its own draws only.
    """

    uses: Literal["dvts"] = "dvts"
    subtrees: int = Field(4, ge=1)

    @property
    def places(self) -> int:
        """One a subtree."""
        return self.subtrees

    def lines(self, root: Node) -> list[Line]:
        """One line of one place a subtree."""
        return [Line(1, [root]) for _ in range(self.subtrees)]
