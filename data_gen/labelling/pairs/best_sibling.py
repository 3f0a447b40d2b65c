"""The best sibling against the worst one, or against a random other one (MCTS-DPO, arXiv 2405.00451)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Literal

from data_gen.labelling.pairs.base import PAIR_RULES, Side
from data_gen.labelling.pairs.siblings import SiblingRule
from data_gen.labelling.reach import View
from data_gen.records.labels import StepPair
from data_gen.records.trees import TreeNode


@PAIR_RULES.register("best_sibling")
class BestSibling(SiblingRule):
    """One pair per node with at least two children of different scores.

    The paper rejects the worst sibling. Its released code rejects a random one, whatever its switch says. MCTS-DPO
    itself is `{uses: best_sibling, along: answer, smoothing: visits, chains: true}` on trees that commit move by move.
    """

    uses: Literal["best_sibling"] = "best_sibling"
    rejected: Literal["worst", "random"] = "worst"
    along: Literal["tree", "answer"] = "tree"
    """`answer`: only nodes on the path of the search's answer, and only if that answer is right."""
    chains: bool = False
    """A side is extended while its last step has exactly one child, since no choice was made there."""

    def pairs(self, view: View, rng: random.Random) -> Iterator[StepPair]:
        """Parents first. A node whose best step leads to no right answer gives no pair: its values are mistaken."""
        for parent in self._parents(view):
            sides = self.sides(view, parent)
            if not sides or not self.may_win(view, sides[0]):
                continue
            others = [side for side in sides if side.score < sides[0].score]
            if others:
                yield self._pair(view, sides[0], others[-1] if self.rejected == "worst" else rng.choice(others))

    def _parents(self, view: View) -> list[TreeNode]:
        if self.along == "tree":
            return list(view.inner())
        answer = view.answer()
        if answer is None or answer.outcome != 1.0:
            return []
        return [view.tree.root, *view.tree.path(answer)[:-1]]

    def _pair(self, view: View, best: Side, other: Side) -> StepPair:
        if not self.chains:
            return self.join(view, best, other)
        chosen, rejected = self._chain(view, best.node), self._chain(view, other.node)
        long = len(chosen) > 1 or len(rejected) > 1
        return self.join(
            view, best, other, chosen_nodes=chosen, rejected_nodes=rejected, granularity="suffix" if long else "step"
        )

    def _chain(self, view: View, node: TreeNode) -> list[TreeNode]:
        chain = [node]
        while len(children := view.steps(chain[-1])) == 1 and children[0].terminal != "limit":
            chain += children
        return chain
