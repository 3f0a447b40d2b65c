"""REBASE, reward-balanced search (Wu et al., "Inference scaling laws", arXiv 2408.00724, section 3.2).

The width is divided among the open paths in proportion to exp(value / temperature) and shrinks by one with every
answer. What differs from the paper and its code: the largest remainders get the rest of the width. The paper rounds
each share on its own, so the sum may miss the width. The code goes from the best path down and rounds each share of
what is left up, which favours the best. Paths that die free their places.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from data_gen.records.scales import as_weight
from data_gen.search.algorithms.beam import lives
from data_gen.search.base import SEARCHES, Search
from data_gen.search.node import Node
from data_gen.search.tree import SearchTree


@SEARCHES.register("rebase")
class Rebase(Search):
    """Reward-balanced search that is `n` paths wide at first. Answers vote with their scores, one vote per draw."""

    one_draw: ClassVar[bool] = True

    uses: Literal["rebase"] = "rebase"
    n: int = Field(16, ge=1)
    temperature: float = Field(0.2, gt=0)
    """T_b. A small value follows the values closely, a large one spreads the width evenly. On scale signed, twice the
    temperature has the same effect."""

    def width(self) -> int:
        """All paths."""
        return self.n

    def draws(self) -> int:
        """At most the full width at every depth."""
        return self.n * self.max_depth

    async def grow(self, tree: SearchTree) -> None:
        """Divide the width, draw and value, until answers have used it up."""
        answers, starts, cut = list[Node](), [tree.root] * self.n, list[Node]()
        for _ in range(tree.limits.max_depth):
            paths = [node for node in await tree.advance(starts, self.expand) if lives(node)]
            await tree.evaluate(paths)
            answers += [node for node in paths if node.terminal]
            # If all paths die before an answer, those that got no share come back.
            going = [node for node in paths if not node.terminal] or ([] if answers else cut)
            starts = deal(going, self.n - len(answers), self.temperature)
            if not starts:
                break
            cut = [node for node in dict.fromkeys([*cut, *going]) if node not in starts]
        tree.vote([(leaf, as_weight(leaf.value or 0.0, tree.scale)) for leaf in answers])
        tree.stopped = "answered" if answers else "exhausted"


def deal(paths: Sequence[Node], width: int, temperature: float) -> list[Node]:
    """`width` starts among `paths` (a node drawn twice is listed twice), in proportion to exp(value / temperature)."""
    copies = Counter(paths)
    shares = allocate([node.value or 0.0 for node in copies], list(copies.values()), width, temperature)
    return [node for node, share in zip(copies, shares, strict=True) for _ in range(share)]


def allocate(values: Sequence[float], copies: Sequence[int], width: int, temperature: float) -> list[int]:
    """Whole shares of `width` in proportion to copies * exp(value / temperature), by largest remainders. Ties keep the
    order.

    >>> allocate([0.9, 0.5, 0.1], [1, 1, 1], 8, 0.4)
    [5, 2, 1]
    """
    if not values:
        return []
    top = max(values)
    weights = [k * math.exp((value - top) / temperature) for value, k in zip(values, copies, strict=True)]
    exact = [width * weight / sum(weights) for weight in weights]
    shares = [math.floor(share + 1e-9) for share in exact]
    by_remainder = sorted(range(len(shares)), key=lambda i: (-(exact[i] - shares[i]), i))
    for i in by_remainder[: width - sum(shares)]:
        shares[i] += 1
    return shares
