"""Look-ahead: a step is worth what the verifier says k greedy steps further on (Snell et al., arXiv 2408.03314, section
5.2).

No code was released. The steps taken ahead stay in the tree (source `lookahead`) and are charged: with k of them a
search costs k + 1 times as much, which is why it came last at equal budget there.
"""

from __future__ import annotations

from collections.abc import Sequence

from data_gen.search.expand import Expand
from data_gen.search.node import Node
from data_gen.search.tree import SearchTree


async def evaluate_ahead(tree: SearchTree, nodes: Sequence[Node], how: Expand, steps: int) -> list[float]:
    """Values of `nodes` read up to `steps` greedy steps further on (0: at the nodes themselves), kept as the nodes'
    own.

    A path that ends on the way is valued at its end.
    """
    greedy, ends = how.model_copy(update={"temperature": 0.0}), list(nodes)
    for _ in range(steps):
        ends = await tree.advance(ends, greedy, source="lookahead")
    values = await tree.evaluate(ends)
    for node, value in zip(nodes, values, strict=True):
        node.value = value
    return values
