"""The share of right ends among solutions with the same beginning, for every prefix of tokens, without extra rollouts
(TVM, arXiv 2407.12863)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal

from data_gen.labelling.paths import Path
from data_gen.labelling.reach import Reach, View
from data_gen.labelling.targets.base import TARGET_RULES, Target, TargetRule, Targets, own_tokens
from data_gen.records.scales import Scale, convert
from data_gen.records.trees import TreeNode

Counts = tuple[float, float]
"""(right ends, verified ends) below a prefix, in draws."""


@TARGET_RULES.register("prefix_ratio")
class PrefixRatio(TargetRule):
    """Right ends / verified ends of all draws that share a prefix. It is 0 or 1 at a leaf, the pass rate at the root,
    and at every prefix the count-weighted mean of its continuations.

    With independent samples it is an unbiased estimate of P(correct | prefix). In a tree grown by a search it reflects
    what the search selected. Once only one draw continues, its own outcome is all that is known (n = 1).
    """

    uses: Literal["prefix_ratio"] = "prefix_ratio"
    scale: Literal[Scale.P, Scale.SIGNED] = Scale.P
    level: Literal["steps", "tokens"] = "tokens"

    def known(self, view: View) -> dict[int, Target]:
        """Every step with a verified end below."""
        return {number: self._target(*_counts(below)) for number, below in enumerate(view.reach) if below.total}

    def along(self, view: View, paths: Sequence[Path]) -> list[Targets]:
        """One target per token, or per step."""
        if self.level == "steps":
            return super().along(view, paths)
        root = self.at_root(self.known(view)) if self.root else []
        inside: dict[int, dict[tuple[int, ...], Counts]] = {}
        return [[*root, *self._tokens(view, path, inside)] for path in paths]

    def _tokens(self, view: View, path: Path, inside: dict[int, dict[tuple[int, ...], Counts]]) -> Targets:
        found: list[Counts] = []
        for node in path.nodes:
            if node.parent not in inside:
                inside[node.parent] = _trie(view.below[node.parent], view.reach)
            spans = inside[node.parent]
            found += [spans[node.token_ids[:j]] for j in range(1, len(node.token_ids))]
            found.append(_counts(view.reach[node.node]))
        own = own_tokens(path)
        return [(at, self._target(correct, total)) for at, (correct, total) in enumerate(found) if total and own[at]]

    def _target(self, correct: float, total: float) -> Target:
        ratio = correct / total
        return Target(convert(ratio, Scale.P, self.scale), ratio > 0.5, total, (correct, total))


def _trie(siblings: Iterable[TreeNode], reach: Sequence[Reach]) -> dict[tuple[int, ...], Counts]:
    """Counts of every token prefix inside the steps below one node, since different steps may begin alike."""
    counts: defaultdict[tuple[int, ...], Counts] = defaultdict(lambda: (0.0, 0.0))
    for node in siblings:
        correct, total = _counts(reach[node.node])
        for j in range(1, len(node.token_ids)):
            before = counts[node.token_ids[:j]]
            counts[node.token_ids[:j]] = before[0] + correct, before[1] + total
    return counts


def _counts(below: Reach) -> Counts:
    return float(below.right), float(below.total)
