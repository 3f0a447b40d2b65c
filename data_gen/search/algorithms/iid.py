"""Independent samples that share common beginnings (TVM, Lee et al., arXiv 2407.12863, section 3.1).

No code was released. Solutions are drawn whole and stored in the tree as paths of steps, with equal beginnings once.
The number of solutions through a node and the number of those that ended right estimate P(correct | prefix) without
further draws. The rule `prefix_ratio` of `value_targets` builds the tries of tokens inside the steps.
"""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from data_gen.records.scales import Scale
from data_gen.records.trees import Held
from data_gen.search.backup import count
from data_gen.search.base import SEARCHES
from data_gen.search.budget import Budgeted
from data_gen.search.node import Node
from data_gen.search.tree import SearchTree


class Sampled(Budgeted):
    """What searches share that begin with independent solutions. The probe is the first of them."""

    one_draw: ClassVar[bool] = True
    takes_solutions: ClassVar[bool] = True
    whole: ClassVar[bool] = True

    n: int = Field(16, ge=1)
    """Solutions."""
    scale: Literal[Scale.P] = Scale.P

    def counts(self, *, gold: bool) -> frozenset[Held]:
        """Visits of the graded solutions."""
        return frozenset({"visits"} if gold else ())

    @property
    def needs_scorer(self) -> bool:
        """It uses outcomes only."""
        return False

    @model_validator(mode="after")
    def _probe_is_a_part(self) -> Self:
        if self.probe >= self.n:
            raise ValueError(f"probe={self.probe} solutions leave nothing to decide on; expected less than n={self.n}")
        return self

    async def probed(self, tree: SearchTree) -> list[Node]:
        """The first solutions."""
        tree.gold("outcomes")
        return await self.solutions(tree, self.probe)

    async def solutions(self, tree: SearchTree, n: int) -> list[Node]:
        """The ends of n more solutions, one per draw. If gold is granted, they are graded and counted on their
        paths."""
        ends = await tree.solve(tree.root, n, self.expand)
        if not tree.granted:
            return ends
        await tree.judge(ends)
        for end in ends:
            if end.outcome is not None:
                count(end, end.outcome)
        return ends


@SEARCHES.register("iid")
class Iid(Sampled):
    """Independent solutions in one tree: `Iid(n=64)`.

    If gold is granted, N and `mc_total` of a node are the verified solutions through it, and W and `mc_correct` are the
    right ones among them. Each draw votes once, so the answer at test time is the majority.
    """

    independent: ClassVar[bool] = True

    uses: Literal["iid"] = "iid"

    def counts(self, *, gold: bool) -> frozenset[Held]:
        """Every graded solution is a visit, and a rollout, of the nodes on its path."""
        return frozenset({"visits", "rollouts"} if gold else ())

    def width(self) -> int:
        """All at once."""
        return self.n

    def draws(self) -> int:
        """n solutions."""
        return self.n

    async def grow(self, tree: SearchTree) -> None:
        """Draw all solutions."""
        await self.solutions(tree, self.n - self.probe)
        answers = [node for node in tree.nodes if node.terminal == "answer"]
        tree.vote([(node, 1.0) for node in answers for _ in range(node.draws)])
        tree.stopped = "answered"

    async def solutions(self, tree: SearchTree, n: int) -> list[Node]:
        """Every solution through a node is a rollout of it: this is TVM's estimate."""
        ends = await super().solutions(tree, n)
        for node in tree.nodes:
            node.mc_correct, node.mc_total = node.total, float(node.visits)
        return ends
