"""Converts a tree to one step per node, the form from which all labels are made.

A search may hold a whole completion in one node, or a few tokens. Here every node is one piece of the Format's
segmentation, and equal prefixes are one node, so rollouts of one node count for the steps that they share.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from data_gen.format import StepCodec
from data_gen.pieces import CONTEXT
from data_gen.records.trees import ROOT, Tree, TreeNode

Ids = tuple[int, ...]
LEFT_OUT = ("lookahead",)
"""Sources of nodes that were drawn to value another node, often greedily. They are not samples of the policy."""


def in_steps(tree: Tree, codec: StepCodec) -> Tree:
    """The same tree with one step per node. If nothing needs cutting or merging, it is the tree itself.

    What a search knows of a node (visits, total, value, outcome, ...) is stored on the step that ends where the node
    ends. A step in the middle of a rollout stores how often it was drawn and how the rollouts through it ended. Those
    were drawn from above it without selection, so they count as its own rollouts (`mc_correct`, `mc_total`), unless the
    search has drawn some from there. The log-probability of a completion is stored on its last step.
    """
    view = _View(codec, tree.root)
    completions = [node for node in tree.nodes[1:] if node.source == "rollout"]
    for node in [*(node for node in tree.nodes[1:] if node.source != "rollout"), *completions]:
        view.enter(node)
    return dataclasses.replace(tree, nodes=view.frozen())


@dataclass(slots=True)
class _Place:
    """Where a node of the search ends: at step `id`, or in the middle of the next one, whose tokens so far are
    `open`."""

    id: int
    open: Ids = ()
    logprob: float | None = 0.0
    """Log-probability of the open tokens. None if unknown."""


@dataclass(slots=True)
class _View:
    codec: StepCodec
    root: TreeNode
    nodes: list[TreeNode] = field(default_factory=list)
    places: dict[int, _Place] = field(default_factory=dict)
    below: dict[tuple[int, Ids], int] = field(default_factory=dict)
    """(step, ids of the next) -> step."""
    rolled: set[int] = field(default_factory=set)
    """Steps from which rollouts were drawn."""

    def __post_init__(self) -> None:
        self.nodes.append(self.root)
        self.places[self.root.node] = _Place(0)

    def enter(self, node: TreeNode) -> None:
        """Add the steps that end within a node."""
        above = self.places.get(node.parent)
        if above is None or node.source in LEFT_OUT:
            return
        before, ids = self._before(above.id), (*above.open, *node.token_ids)
        pieces, left = self._pieces(ids, before), Ids()
        if pieces and not node.terminal:
            marked = self.codec.format.task.marks
            if not self.codec.complete((*before, *ids) if marked else pieces[-1][0]):
                left = pieces.pop()[0]
        logprob = None if above.logprob is None or node.logprob is None else above.logprob + node.logprob
        steps = self._descend(above.id, pieces, 0 if node.source == "replayed" else node.draws)
        self.places[node.node] = _Place(steps[-1] if steps else above.id, left, logprob if left else 0.0)
        if steps and not left:
            for step in steps[:-1]:
                self._pass(step, node)
            self._settle(steps, node, logprob)

    def _before(self, step: int) -> Ids:
        """The ids from the prompt to a step, if marks make them relevant to what follows. Else empty."""
        return self._tail(step, math.inf) if self.codec.format.task.marks else ()

    def _tail(self, step: int, least: float) -> Ids:
        """The last ids from the prompt to a step: at least so many, or all."""
        ids: Ids = ()
        while step and len(ids) < least:
            ids, step = (*self.nodes[step].token_ids, *ids), self.nodes[step].parent
        return ids

    def _pieces(self, ids: Ids, before: Ids) -> list[tuple[Ids, int]]:
        """(ids, number of leading ids that the policy did not write) of each step."""
        pieces = []
        for step in self.codec.steps(ids, before):
            sizes = [(len(segment.token_ids), segment.kind.own) for segment in step]
            first = next((i for i, (_, own) in enumerate(sizes) if own), len(sizes))
            whole = tuple(token for segment in step for token in segment.token_ids)
            pieces.append((whole, sum(size for size, _ in sizes[:first])))
        return pieces

    def _descend(self, at: int, pieces: Sequence[tuple[Ids, int]], draws: int) -> list[int]:
        """The steps of `pieces` below `at`. New ones are created."""
        steps: list[int] = []
        for ids, observed in pieces:
            child = self.below.get((at, ids))
            if child is None:
                child = self.below[at, ids] = len(self.nodes)
                above = self.nodes[at]
                self.nodes.append(
                    TreeNode(
                        node=child,
                        parent=at,
                        depth=above.depth + 1,
                        text=self.codec.text_behind(self._tail(at, CONTEXT), ids),
                        token_ids=ids,
                        observed=observed,
                        draws=0,
                        steps_ok=False if above.steps_ok is False else None,
                        source="",
                    )
                )
            self._change(child, draws=self.nodes[child].draws + draws)
            steps.append(child)
            at = child
        return steps

    def _pass(self, step: int, node: TreeNode) -> None:
        """Counts a completion that runs through a step."""
        here = self.nodes[step]
        if node.steps_ok:
            self._change(step, steps_ok=True)
        if not here.source:
            self._change(step, source=node.source)
        if node.source == "rollout" and node.outcome is not None and step not in self.rolled:
            self._change(step, mc_correct=here.mc_correct + node.outcome, mc_total=here.mc_total + 1)

    def _settle(self, steps: Sequence[int], node: TreeNode, logprob: float | None) -> None:
        """Stores on the last of `steps` what is known of a node that ends there. Counts of equal nodes add up; other
        facts are the first node's."""
        step = self.nodes[steps[-1]]
        self.rolled |= {step.node} if node.mc_total else set()
        counts = {
            name: getattr(step, name) + getattr(node, name)
            for name in ("visits", "total", "mc_correct", "mc_total", "weight", "votes")
        }
        marks = ("prior", "value", "outcome", "answer", "steps_ok")
        known = {name: old if (old := getattr(step, name)) is not None else getattr(node, name) for name in marks}
        fresh = not step.source
        before = [self.nodes[i].logprob for i in steps[:-1]]
        rest = None if logprob is None or None in before else logprob - sum(one for one in before if one is not None)
        self._change(
            steps[-1],
            **counts,
            **known,
            terminal=step.terminal or node.terminal,
            source=step.source or node.source,
            logprob=rest if fresh else step.logprob,
        )

    def _change(self, step: int, **fields: object) -> None:
        self.nodes[step] = dataclasses.replace(self.nodes[step], **fields)  # type: ignore[arg-type]

    def frozen(self) -> tuple[TreeNode, ...]:
        """All steps. An end set by a limit of the search is no end if a rollout continued it."""
        inner = {node.parent for node in self.nodes} - {ROOT}
        return tuple(
            dataclasses.replace(node, terminal="", outcome=None, answer=None)
            if node.node in inner and node.terminal
            else node
            for node in self.nodes
        )
