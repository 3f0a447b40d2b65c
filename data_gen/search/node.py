"""The live node of a search, which algorithms read and write while a tree grows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from data_gen.errors import UserError
from data_gen.records.trees import ROOT, TreeNode


@dataclass(eq=False, slots=True, kw_only=True)
class Node:
    """One step under its parent. The root holds the prompt. Ids count in order of creation, so they never depend on
    timing."""

    id: int
    parent: Node | None
    token_ids: tuple[int, ...]
    text: str
    depth: int = 0
    length: int = 0
    """Tokens after the prompt, including this node's."""
    logprob: float | None = 0.0
    """Sum over the node's own tokens. None if the engine returned none."""
    logprobs: tuple[float, ...] = ()
    """One per token. They are kept for rollouts only, which may be cut into steps later."""
    draws: int = 1
    terminal: str = ""
    answer: str | None = None
    outcome: float | None = None
    """1 right, 0 wrong. None until graded, or if unverifiable."""
    steps_ok: bool | None = None
    value: float | None = None
    """The scorer's value on the tree's scale. None until scored."""
    head_value: float | None = None
    """A joint model's value at the last token, on its head's scale."""
    prior: float | None = None
    visits: int = 0
    total: float = 0.0
    """Sum of what was backed up; Q = total / visits."""
    reward: float = 0.0
    """Reward of the step to this node, for searches that back up rewards of steps."""
    mc_correct: float = 0.0
    mc_total: float = 0.0
    source: str = "policy"
    piece: bool = False
    """Exactly one piece of the Format's segmentation: a step or the answer line."""
    weight: float = 0.0
    votes: int = 0
    """Number of the search's final paths that end here. `weight` is their share of the vote."""
    expansions: int = 0
    """How often children were requested. It is part of the random stream's path."""
    children: list[Node] = field(default_factory=list)

    @property
    def q(self) -> float:
        """Mean of what was backed up. ZeroDivisionError before the first visit: selectors define the value of an
        unvisited node."""
        return self.total / self.visits

    @property
    def known_logprob(self) -> float:
        """`logprob`, for searches that need it. UserError if the engine returned none."""
        if self.logprob is None:
            raise UserError(
                f"The engine gave no log-probs with the step {self.text[:40]!r}, which this search needs. Use `select: "
                "{uses: puct, prior: draws}` or `prior: uniform` (in particle Gibbs: no `ancestors`), or use an engine "
                "that gives log-probs: hosted ones do at temperature and top_p 1."
            )
        return self.logprob

    @property
    def ids(self) -> tuple[int, ...]:
        """Token ids after the prompt."""
        return tuple(token for step in self.path() for token in step.token_ids)

    @property
    def solution(self) -> str:
        """Text after the prompt."""
        return "".join(step.text for step in self.path())

    def up(self) -> Iterator[Node]:
        """This node, its parent, ... the root."""
        node: Node | None = self
        while node is not None:
            yield node
            node = node.parent

    def path(self) -> list[Node]:
        """From the root's child down to this node. Empty for the root."""
        return list(self.up())[-2::-1]

    def walk(self) -> Iterator[Node]:
        """This node and all nodes below it: parents first, siblings in order of creation."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack += reversed(node.children)

    def steps(self) -> list[Node]:
        """Children made by the search. Rollouts and look-aheads are not among them."""
        return [child for child in self.children if child.source not in ("rollout", "lookahead")]

    def rollouts(self) -> list[Node]:
        """Completions drawn from here."""
        return [child for child in self.children if child.source == "rollout"]

    def frozen(self) -> TreeNode:
        """The row of this node."""
        return TreeNode(
            node=self.id,
            parent=ROOT if self.parent is None else self.parent.id,
            depth=self.depth,
            text=self.text,
            token_ids=self.token_ids,
            logprob=self.logprob,
            prior=self.prior,
            draws=self.draws,
            visits=self.visits,
            total=self.total,
            value=self.value,
            outcome=self.outcome,
            mc_correct=self.mc_correct,
            mc_total=self.mc_total,
            terminal=self.terminal,
            answer=self.answer,
            steps_ok=self.steps_ok,
            source=self.source,
            weight=self.weight,
            votes=self.votes,
        )
