"""The selector slot: which child a walk goes to. Dead ends are skipped and never end a tree while an open node is
left."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from data_gen.registry import Piece
from data_gen.search.node import Node

Fpu = Literal["zero", "half", "inf", "parent", "value", "reward"]
"""First-play value of an unvisited child: 0, 0.5 (the middle of the scale p), +inf, its parent's Q, the scorer's value,
or the reward of the step to it (in searches with rewards of steps)."""


class _Selector(Piece):
    fpu: Fpu = "zero"
    value_visits: float = Field(0.0, ge=0)
    """Number of visits that the scorer's value counts for, in Q and in N. rStar-Math counts one: a child that its
    preference model has scored has been visited once, so siblings that no rollout took keep their bonus."""

    def counted(self, node: Node) -> float:
        """N of a node: its visits, and those that its value counts for."""
        return node.visits + (self.value_visits if node.value is not None else 0)

    def worth(self, child: Node, parent: Node) -> float:
        """Q of a child. Before the first visit, its first-play value."""
        if self.value_visits and child.value is not None:
            return (self.value_visits * child.value + child.total) / self.counted(child)
        if child.visits:
            return child.q
        match self.fpu:
            case "parent":
                return parent.q if parent.visits else 0.0
            case "value":
                return child.value if child.value is not None else 0.0
            case "reward":
                return child.reward
        return _FIRST_PLAY[self.fpu]

    def score(self, child: Node, parent: Node) -> float:
        """The quantity that the walk maximises."""
        raise NotImplementedError

    def choose(self, parent: Node, open_children: list[Node]) -> Node:
        """The open child of the highest score. Ties (unvisited children under `inf`) go to the best value, then to the
        oldest."""
        return max(open_children, key=lambda child: (self.score(child, parent), child.value or 0.0, -child.id))


class Puct(_Selector):
    """Q + c * P * sqrt(N(parent)) / (1 + N) (AlphaMath, arXiv 2405.03553; MCTS-DPO, arXiv 2405.00451).

    On scale p halve `c` and set `fpu: half` to walk as on [-1, 1].
    """

    version: ClassVar[int] = 2
    uses: Literal["puct"] = "puct"
    c: float = Field(1.25, ge=0)
    prior: Literal["mean_prob", "prob", "length_penalised", "draws", "uniform"] = "mean_prob"
    """exp of the mean token log-probability; exp of the sum; exp of sum / length^`length_power`; the share of draws; 1
    / number of siblings."""
    length_power: float = Field(1.25, ge=0)
    normalise: Literal["none", "siblings"] = "none"

    def score(self, child: Node, parent: Node) -> float:
        """PUCT with the priors of the last `set_priors`."""
        bonus = math.sqrt(self.counted(parent)) / (1 + self.counted(child))
        return self.worth(child, parent) + self.c * (child.prior or 0.0) * bonus

    def set_priors(self, parent: Node) -> None:
        """Sets the children's priors. It is called after every expansion."""
        children = parent.steps()
        raw = [self._raw(child, children) for child in children]
        total = sum(raw) if self.normalise == "siblings" else 1.0
        for child, prior in zip(children, raw, strict=True):
            child.prior = prior / total if total > 0 else 1 / len(children)

    def _raw(self, child: Node, siblings: list[Node]) -> float:
        match self.prior:
            case "draws":
                return child.draws / sum(sibling.draws for sibling in siblings)
            case "uniform":
                return 1 / len(siblings)
        power = {"mean_prob": 1.0, "prob": 0.0, "length_penalised": self.length_power}[self.prior]
        return math.exp(child.known_logprob / max(1, len(child.token_ids)) ** power)


class Ucb(_Selector):
    """Q + c * sqrt(k * ln N(parent) / N). Textbook UCB1 has k = 2 and `fpu: inf`; rStar-Math has k = 1, c = 2 and `fpu:
    zero`."""

    version: ClassVar[int] = 2
    uses: Literal["ucb"] = "ucb"
    fpu: Fpu = "inf"
    c: float = Field(1.0, ge=0)
    k: float = Field(2.0, gt=0)

    def score(self, child: Node, parent: Node) -> float:
        """UCB1. The score of a child that nothing counts for is its first-play value."""
        n = self.counted(child)
        if not n:
            return self.worth(child, parent)
        return self.worth(child, parent) + self.c * math.sqrt(self.k * math.log(max(1, self.counted(parent))) / n)

    def set_priors(self, parent: Node) -> None:
        """No-op: UCB has no priors."""


Selector = Annotated[Puct | Ucb, Field(discriminator="uses")]


def descend(root: Node, selector: Puct | Ucb, closed: set[Node]) -> Node | None:
    """Walk from the root to an open leaf: a node without steps below it that has not ended. None if nothing is open.

    `closed` holds the subtrees in which nothing is open. `close` adds to it.
    """
    if root in closed:
        return None
    node = root
    while children := open_children(node, closed):
        node = selector.choose(node, children)
    return node


def open_children(node: Node, closed: set[Node]) -> list[Node]:
    """The steps below a node that a walk may take."""
    return [child for child in node.steps() if not child.terminal and child not in closed]


def close(node: Node, closed: set[Node]) -> None:
    """Marks `node` as closed to walks, and every node above it that has nothing else open."""
    closed.add(node)
    for above in node.up():
        if above is not node and open_children(above, closed):
            break
        closed.add(above)


def best_answer(root: Node) -> Node | None:
    """Walks down by the greatest Q among steps that lead to an answer (AlphaMath's inference). None if no step does."""
    leads = _lead_to_answers(root)
    node = root
    while node in leads and node.terminal != "answer":
        children = [child for child in node.steps() if child in leads]
        node = max(children, key=lambda child: (child.q if child.visits else -math.inf, -child.id))
    return node if node in leads else None


def _lead_to_answers(root: Node) -> set[Node]:
    """Answers and the nodes above them. Answers that only rollouts and look-aheads found do not count."""
    found: set[Node] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        stack += node.steps()
        if node.terminal == "answer":
            found.update(node.up())
    return found


_FIRST_PLAY = {"zero": 0.0, "half": 0.5, "inf": math.inf}
