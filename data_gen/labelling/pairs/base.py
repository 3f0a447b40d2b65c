"""The pair rule interface: a frozen config that recipes write, and one generator of pairs over a tree whose nodes are
steps.

@PAIR_RULES.register("margin")
class Margin(SiblingRule):
    uses: Literal["margin"] = "margin"

    def pairs(self, view: View, rng: random.Random) -> Iterator[StepPair]: ...
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from data_gen.labelling.reach import View
from data_gen.records.labels import Granularity, StepPair
from data_gen.records.scales import Scale
from data_gen.records.trees import Held, Tree, TreeNode
from data_gen.registry import Piece, Registry


@dataclass(frozen=True, slots=True)
class Side:
    """A step with its score: `Side(node, score=0.75)`."""

    node: TreeNode
    score: float


class PairRule(Piece, ABC):
    """Base of all pair rules. Each has a `uses: Literal["name"] = "name"`."""

    scale: Scale = Scale.P
    """Scale of scores and margins. The tree's values are converted to it. UserError if they cannot be."""
    smoothing: Literal["none", "visits"] = "none"
    """`visits`: label smoothing N_rejected / (N_chosen + N_rejected), at most 0.5 (MCTS-DPO)."""

    @property
    def reads(self) -> frozenset[Held]:
        """What the nodes of a tree must hold for it besides draws and outcomes. It is checked when a recipe loads."""
        return frozenset()

    @abstractmethod
    def pairs(self, view: View, rng: random.Random) -> Iterator[StepPair]:
        """The pairs of one tree. `rng` derives from the tree alone."""

    def join(
        self,
        view: View,
        chosen: Side,
        rejected: Side,
        *,
        weight: float = 1.0,
        chosen_nodes: Sequence[TreeNode] = (),
        rejected_nodes: Sequence[TreeNode] = (),
        granularity: Granularity = "step",
    ) -> StepPair:
        """The row of two siblings. The nodes of each side are the sibling itself unless more are given."""
        tree = view.tree
        better, worse = chosen_nodes or (chosen.node,), rejected_nodes or (rejected.node,)
        prefix = tree.path(tree.nodes[chosen.node.parent])
        ended = better[-1].terminal or worse[-1].terminal
        return StepPair(
            problem_id=tree.problem_id,
            tree=tree.sample,
            rule=self.uses,
            prompt=tree.root.text + _text(prefix),
            chosen=_text(better),
            rejected=_text(worse),
            prompt_ids=(*tree.root.token_ids, *_ids(prefix)),
            prompt_length=len(tree.root.token_ids),
            chosen_ids=_ids(better),
            rejected_ids=_ids(worse),
            chosen_weights=_weights(better),
            rejected_weights=_weights(worse),
            prefix_nodes=_numbers(prefix),
            chosen_nodes=_numbers(better),
            rejected_nodes=_numbers(worse),
            score_chosen=chosen.score,
            score_rejected=rejected.score,
            scale=str(self.scale),
            label_smoothing=self._smoothing(chosen.node.visits, rejected.node.visits),
            weight=weight,
            granularity=granularity,
            end_mark="eos" if ended else "none",
            group=tree.group,
            difficulty=tree.difficulty,
            question=tree.question,
            tags=tree.tags,
        )

    def _smoothing(self, chosen: int, rejected: int) -> float:
        visits = chosen + rejected
        return min(0.5, rejected / visits) if self.smoothing == "visits" and visits else 0.0


def takes_sides(view: View, node: TreeNode) -> bool:
    """False for four kinds of steps: cut by a limit, without text, without any of the policy's own text, or with only
    unverifiable ends below."""
    below = view.reach[node.node]
    return node.terminal != "limit" and node.own and bool(node.text.strip()) and (below.total > 0 or below.unknown == 0)


def draw_pairs(
    rule: PairRule, tree: Tree, rng: random.Random, most: int | None
) -> tuple[list[StepPair], dict[str, int]]:
    """At most that many pairs of one tree, in its order, and the number dropped per reason."""
    found = list(rule.pairs(View(tree), rng))
    distinct = [pair for pair in found if pair.chosen.strip() != pair.rejected.strip()]
    kept = distinct
    if most is not None and len(distinct) > most:
        kept = [distinct[i] for i in sorted(rng.sample(range(len(distinct)), most))]
    return kept, {"equal_text": len(found) - len(distinct), "max_per_tree": len(distinct) - len(kept)}


def _text(nodes: Sequence[TreeNode]) -> str:
    return "".join(node.text for node in nodes)


def _ids(nodes: Sequence[TreeNode]) -> tuple[int, ...]:
    return tuple(token for node in nodes for token in node.token_ids)


def _weights(nodes: Sequence[TreeNode]) -> tuple[float, ...]:
    """1 for each token of the policy, 0 for each token of a tool's output. Empty if there is no tool output."""
    if not any(node.observed for node in nodes):
        return ()
    return tuple(float(i >= node.observed) for node in nodes for i in range(len(node.token_ids)))


def _numbers(nodes: Sequence[TreeNode]) -> tuple[int, ...]:
    return tuple(node.node for node in nodes)


PAIR_RULES: Registry[type[PairRule]] = Registry(
    "pair rule", package="data_gen.labelling.pairs", group="data_gen.labelling.pairs"
)
"""Name -> pair rule."""
