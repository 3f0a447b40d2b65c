"""Trees as rows: the result of a search. There is one row per node, the root first.

Token ids are authoritative. Counts are stored, never only ratios.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Literal, Self

from data_gen.records.rows import Long, Tags, from_row, to_row

ROOT = -1
"""Parent of the root."""


Held = Literal["visits", "rollouts", "values", "checked_steps"]
"""What a search may store in the nodes of its trees besides draws and outcomes. `visits` imply Q. `rollouts` are how
many were drawn from a node and how many ended right. The others are a scorer's values and whether the task's step
checker passes every step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeNode:
    """One step of one tree, e.g. the second line of a solution, drawn twice, visited five times:

    >>> TreeNode(node=4, parent=1, depth=2, text="45 - 5 = 40\\n", token_ids=(7, 9, 4), logprob=-0.7,
    ...     draws=2, visits=5, total=2.5).q
    0.5
    """

    node: int
    """Index in order of creation. The root is 0, and its ids are the prompt's."""
    parent: int
    depth: int
    """Number of steps up to and including this one. The root has 0."""
    text: str
    token_ids: tuple[int, ...]
    observed: int = 0
    """Number of leading tokens that the policy did not write: tool outputs before this step. They have no loss and no
    value. It is known once a tree has one step per node (`labelling.steps.in_steps`)."""
    logprob: float | None = 0.0
    """Sum over the node's own tokens, under the untempered policy. None if the engine returned none."""
    prior: float | None = None
    """P(node | parent) as the selector used it. None if the selector uses no prior."""
    draws: int = 1
    """Number of times that the policy drew it. Equal siblings are one node."""
    visits: int = 0
    total: float = 0.0
    """Sum of what was backed up, on the tree's scale; Q = total / visits."""
    value: float | None = None
    """The scorer's value at the time of scoring, on the tree's scale."""
    outcome: float | None = None
    """1 right, 0 wrong. None for a node that is not an end or cannot be verified."""
    mc_correct: float = 0.0
    """How many of the `mc_total` rollouts from here ended right."""
    mc_total: float = 0.0
    terminal: str = ""
    """`answer`: ends with an answer. `invalid`: ends without one. `limit`: cut by depth, tokens or context. Empty: may
    be continued."""
    answer: str | None = None
    steps_ok: bool | None = None
    """Whether the task's exact checker passes every step so far. None if the task has none."""
    source: str = "policy"
    """`policy`: a step of the search. `rollout`: a completion drawn to estimate a value. `replayed`: part of a rollout
    or of another path. `lookahead`: a step drawn to value the node above. `gold`."""
    weight: float = 0.0
    """Share of the final vote in searches that answer, else 0."""
    votes: int = 0
    """Number of the search's final paths (samples, beams, particles) that end here."""

    @property
    def own(self) -> bool:
        """Whether the policy wrote any of it."""
        return self.observed < len(self.token_ids) or not self.token_ids

    @property
    def q(self) -> float | None:
        """Mean of what was backed up. None before the first visit."""
        return self.total / self.visits if self.visits else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A finished search over one problem.

    >>> root = TreeNode(node=0, parent=ROOT, depth=0, text="Ana has 12. ...", token_ids=(5, 9))
    >>> Tree(problem_id="chain/train/7", sample=0, nodes=(root,), scale="signed", stopped="budget").root.depth
    0
    """

    problem_id: str
    sample: int
    """Index of the tree among the problem's trees."""
    nodes: tuple[TreeNode, ...]
    scale: str
    """Scale tag of totals and values (see scales.py)."""
    search: str = ""
    """Name of the search algorithm."""
    scorer: str = ""
    """Name and model hash of the scorer."""
    stopped: str = ""
    """Why the search stopped: `budget`, `decided` (every rollout of the root agrees), `exhausted` (no open node is
    left), `answered`."""
    oracle: bool = False
    """Whether gold was used while the tree grew."""
    generated_tokens: Long = 0
    """Tokens drawn, including discarded ones."""
    scored_tokens: Long = 0
    """Tokens that verifiers read."""
    requests: Long = 0
    """Completions asked of the policy: steps, solutions and rollouts. 0 in trees that were stored before it was
    counted."""
    group: str = ""
    difficulty: float | None = None
    question: str = ""
    """The problem's question without any template (see `Solution.question`)."""
    tags: Tags = field(default_factory=dict, hash=False)
    """The problem's tags."""

    @property
    def root(self) -> TreeNode:
        """Node 0."""
        return self.nodes[0]

    def children(self) -> dict[int, list[TreeNode]]:
        """Each node's children, in order of creation."""
        below: dict[int, list[TreeNode]] = {node.node: [] for node in self.nodes}
        for node in self.nodes[1:]:
            below[node.parent].append(node)
        return below

    def path(self, node: TreeNode) -> list[TreeNode]:
        """From the root's child down to `node`; empty for the root."""
        path: list[TreeNode] = []
        while node.parent != ROOT:
            path.append(node)
            node = self.nodes[node.parent]
        return path[::-1]

    def to_rows(self) -> list[dict[str, Any]]:
        """One Parquet row per node. Columns of the tree are repeated in each row, so that every row can be read
        alone."""
        whole = to_row(dataclasses.replace(self, nodes=()))
        del whole["nodes"]
        return [{**whole, **to_row(node)} for node in self.nodes]

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> Self:
        """The tree of the given rows, in any order. Extra columns are ignored."""
        ordered = sorted(rows, key=lambda row: row["node"])
        nodes = tuple(TreeNode(**from_row(TreeNode, row)) for row in ordered)
        return cls(**from_row(cls, ordered[0]), nodes=nodes)


def read_trees(rows: Iterable[Mapping[str, Any]]) -> Iterator[Tree]:
    """Trees from a stream of rows in which the rows of one tree are adjacent."""
    for _, group in groupby(rows, key=lambda row: (row["problem_id"], row["sample"])):
        yield Tree.from_rows(group)
