"""Turns drawn samples into tree nodes: a step, the steps of a whole solution, or a rollout; and decides what ends a
path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data_gen.engines.base import Sample
from data_gen.format import StepCodec
from data_gen.records.segment import Kind
from data_gen.scorers.base import Rollout
from data_gen.search.expand import Expand
from data_gen.search.node import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of a path: `Limits(max_depth=16, max_length=512)`. A node at a limit is terminal, `limit`, and counts as
    wrong."""

    max_depth: int
    max_length: int
    """Tokens after the prompt, never more than the context leaves."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Converts samples to nodes that have not entered a tree yet (id -1)."""

    codec: StepCodec
    limits: Limits

    def step(self, parent: Node, sample: Sample, how: Expand, source: str = "policy") -> Node:
        """One sample as one node."""
        node = self._node(parent, sample.token_ids, sample.logprobs, source)
        node.head_value, node.piece = sample.value, how.segment == "step" and not self.marked
        if self.ends(sample) or (how.segment == "step" and sample.finish == "stop" and self._answers(node)):
            self._end(node)
        elif self._cut(node, sample, how):
            node.terminal = "limit"
        return node

    def solution(self, parent: Node, sample: Sample, source: str = "policy") -> list[Node]:
        """A sample that runs to its end, as a chain of steps below `parent`, which itself ends with a step. It is never
        cut by depth."""
        chain, start = [], 0
        for ids in self.pieces(sample.token_ids, parent.ids if self.marked else ()):
            parent = self._node(parent, ids, sample.logprobs[start : start + len(ids)], source)
            parent.piece = not self.marked
            chain.append(parent)
            start += len(ids)
        parent.head_value = sample.value
        if sample.finish == "stop":
            self._end(parent)
        else:
            parent.terminal = "limit"
        return chain

    def rollout(self, parent: Node, rollout: Rollout) -> Node:
        """A completion as one leaf, with its answer and outcome."""
        sample = rollout.sample
        leaf = self._node(parent, sample.token_ids, sample.logprobs, "rollout")
        leaf.logprobs, leaf.answer, leaf.outcome = sample.logprobs, rollout.answer, rollout.outcome
        leaf.terminal = "answer" if rollout.answer is not None else "limit" if sample.finish != "stop" else "invalid"
        return leaf

    def answer(self, parent: Node, sample: Sample) -> str | None:
        """The answer of a completion. A cut one has none."""
        if sample.finish != "stop":
            return None
        return self.codec.answer((*parent.ids, *sample.token_ids))

    def pieces(self, ids: Sequence[int], before: Sequence[int] = ()) -> list[tuple[int, ...]]:
        """Ids of every step and of the answer line. Tool outputs belong to the step after them, and the stop token to
        what it ends. An empty sample is one empty piece."""
        steps = self.codec.steps(ids, before)
        return [tuple(token for segment in step for token in segment.token_ids) for step in steps] or [()]

    @property
    def marked(self) -> bool:
        """Whether spans are marked, so that a line can be read only together with the text before it."""
        return bool(self.codec.format.task.marks)

    def _answers(self, node: Node) -> bool:
        """Whether a node ends with the answer line."""
        if self.marked:
            return any(segment.kind is Kind.ANSWER for segment in self.codec.split(node.ids)[-1:])
        return self.codec.is_answer(node.text)

    def unfinished(self, before: Sequence[int], sample: Sample) -> bool:
        """Whether a step goes on although its delimiter has come: inside a marked span, or after a tool's output.
        `before`: the ids after the prompt."""
        if self.blank(sample) or not self.marked:
            return self.blank(sample)
        return (
            sample.finish == "stop" and not self.ends(sample) and not self.codec.complete((*before, *sample.token_ids))
        )

    def blank(self, sample: Sample) -> bool:
        """Whether it is only white space so far and not finished."""
        return sample.finish == "stop" and not self.ends(sample) and not self.codec.decode(sample.token_ids).strip()

    def ends(self, sample: Sample) -> bool:
        """Whether an end token, not a stop string, ended it."""
        return sample.finish == "stop" and bool(sample.token_ids) and sample.token_ids[-1] in self.codec.end_ids

    def _node(self, parent: Node, ids: tuple[int, ...], logprobs: Sequence[float], source: str) -> Node:
        return Node(
            id=-1,
            parent=parent,
            token_ids=ids,
            text=self.codec.text_behind(parent.ids, ids),
            depth=parent.depth + 1,
            length=parent.length + len(ids),
            logprob=sum(logprobs) if len(logprobs) == len(ids) else None,
            source=source,
        )

    def _end(self, node: Node) -> None:
        node.answer = self.codec.answer(node.ids)
        node.terminal = "answer" if node.answer is not None else "invalid"

    def _cut(self, node: Node, sample: Sample, how: Expand) -> bool:
        unfinished = sample.finish == "length" and how.segment != "tokens"
        return unfinished or node.depth >= self.limits.max_depth or node.length >= self.limits.max_length
