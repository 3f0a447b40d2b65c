"""Step beam search SBS(B1, B2) (AlphaMath, arXiv 2405.03553, section 3.3; Snell et al., arXiv 2408.03314, section 5.2).

In Snell's terms N = B1 * B2 and M = B2. Two things differ from AlphaMath's released code. A path that can have no
answer never takes a place in the beam, so SBS(1, 5) does not end empty-handed while another child lives. If a whole
generation dies before any answer, the best of the paths that were cut before come back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field

from data_gen.records.scales import as_weight
from data_gen.search.base import SEARCHES, Search
from data_gen.search.expand import Expand
from data_gen.search.node import Node
from data_gen.search.tree import SearchTree


@dataclass(slots=True)
class Line:
    """One beam of `width` places: `Line(4, open=[root] * 4)` draws the first steps of all four places from the root."""

    width: int
    open: list[Node]
    done: list[Node] = field(default_factory=list)
    """Answers. Each occupies a place permanently."""
    cut: list[Node] = field(default_factory=list)
    """Paths that did not fit."""

    def select(self, children: Sequence[Node]) -> None:
        """Fill the places that no answer occupies with the best living children. Equal values keep the order of their
        draws."""
        living = list(dict.fromkeys(child for child in children if lives(child)))
        if not living and not self.done:
            living, self.cut = self.cut, []
        ranked = sorted(living, key=lambda node: -(node.value or 0.0))  # stable
        places = self.width - len(self.done)
        kept, lost = ranked[:places], ranked[places:]
        self.done += [node for node in kept if node.terminal]
        self.open = [node for node in kept if not node.terminal]
        self.cut += lost


def lives(node: Node) -> bool:
    """Whether a path has an answer or may still find one."""
    return node.terminal in ("", "answer")


class Climb(Search):
    """What beam and DVTS share: lines that advance together, each over its own draws."""

    lookahead: int = Field(0, ge=0)
    """Greedy steps before a step is valued (Snell et al.: 1 or 3)."""

    @property
    def places(self) -> int:
        """Paths that advance together."""
        raise NotImplementedError

    def lines(self, root: Node) -> list[Line]:
        """The beams at the start."""
        raise NotImplementedError

    def width(self) -> int:
        """The children of all places."""
        return self.places * self.expand.n

    def draws(self) -> int:
        """At every depth, each place draws its children and a look-ahead for each child."""
        return self.width() * self.max_depth * (1 + self.lookahead)

    async def grow(self, tree: SearchTree) -> None:
        """Draw, value and select until every place has its answer or is dead, for at most `max_depth` steps."""
        lines = self.lines(tree.root)
        for _ in range(tree.limits.max_depth):
            drawn = iter(await tree.draw([node for line in lines for node in line.open], self.expand, self.expand.n))
            families = [[child for _ in line.open for child in next(drawn)] for line in lines]
            living = [child for family in families for child in family if lives(child)]
            await evaluate_ahead(tree, list(dict.fromkeys(living)), self.expand, self.lookahead)
            for line, family in zip(lines, families, strict=True):
                line.select(family)
            if not any(line.open for line in lines):
                break
        done = [leaf for line in lines for leaf in line.done]
        tree.vote([(leaf, as_weight(leaf.value or 0.0, tree.scale)) for leaf in done])
        tree.stopped = "answered" if done else "exhausted"


@SEARCHES.register("beam")
class Beam(Climb):
    """Step beam search with B1 = `beams` places and B2 = `expand.n` children per place.

    `Beam(beams=1, expand=Expand(n=5))` is AlphaMath's SBS(1, 5).

    An answer leaves the beam, keeps its score and narrows the beam by one. Each answer votes with its score (AlphaMath
    takes the `argmax`, Snell `weighted`).
    """

    uses: Literal["beam"] = "beam"
    beams: int = Field(4, ge=1)

    @property
    def places(self) -> int:
        """B1."""
        return self.beams

    def lines(self, root: Node) -> list[Line]:
        """One line. At the root its places draw B1 * B2 first steps together."""
        return [Line(self.beams, [root] * self.beams)]


async def evaluate_ahead(tree: SearchTree, nodes: Sequence[Node], how: Expand, steps: int) -> list[float]:
    """Look-ahead (Snell et al., section 5.2; no code was released). A step's value is the verifier's value that many
    greedy steps further on (0: at the step itself). A path that ends on the way is valued at its end.

    The steps taken ahead stay in the tree (source `lookahead`) and are charged. With k of them a search costs k + 1
    times as much, which is why it came last at equal budget in the paper.
    """
    greedy, ends = how.model_copy(update={"temperature": 0.0}), list(nodes)
    for _ in range(steps):
        ends = await tree.advance(ends, greedy, source="lookahead")
    values = await tree.evaluate(ends)
    for node, value in zip(nodes, values, strict=True):
        node.value = value
    return values
