"""The target builder interface: a frozen config that recipes write, and one function from a tree whose nodes are steps
to targets.

@TARGET_RULES.register("q")
class TreeQ(TargetRule):
    uses: Literal["q"] = "q"

    def known(self, view: View) -> dict[int, Target]: ...
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from data_gen.labelling.paths import Path
from data_gen.labelling.reach import View
from data_gen.records.scales import Scale
from data_gen.records.trees import Held
from data_gen.registry import Piece, Registry

PROMPT_END = -1
"""Index of the root's target: the last token of the prompt, one before the first of the path."""


@dataclass(frozen=True, slots=True)
class Target:
    """The target of one prefix: `Target(0.75, right=True, n=8, counts=(6, 8))`."""

    value: float
    """On the rule's scale."""
    right: bool
    """The value as a hard label."""
    n: float
    """Number of observations behind it."""
    counts: tuple[float, float] | None = None
    """(correct, total) if the value is a ratio of counts."""


Targets = list[tuple[int, Target]]
"""(index of a token of the path, target of the prefix that ends there)."""


class TargetRule(Piece, ABC):
    """Base of all target builders. Each has a `uses: Literal["name"] = "name"` and a `scale` of its values."""

    scale: Scale
    root: bool = False
    """Adds a target for the question itself, at the last token of the prompt (index -1)."""

    @property
    def reads(self) -> frozenset[Held]:
        """What the nodes of a tree must hold for it besides draws and outcomes. It is checked when a recipe loads."""
        return frozenset()

    @abstractmethod
    def known(self, view: View) -> dict[int, Target]:
        """Node -> target, for every node with a known value. UserError if the tree's values cannot be read."""

    def along(self, view: View, paths: Sequence[Path]) -> list[Targets]:
        """The targets of each path of one tree, in order. By default there is one at the last token of every step."""
        known = self.known(view)
        return [[*self.at_root(known), *self.at_steps(path, known)] for path in paths]

    def at_root(self, known: dict[int, Target]) -> Targets:
        """The target of the question, if it is requested and known."""
        return [(PROMPT_END, known[0])] if self.root and 0 in known else []

    def at_steps(self, path: Path, known: dict[int, Target]) -> Targets:
        """The targets at the ends of steps."""
        return [
            (at, known[node.node])
            for at, node in zip(step_ends(path), path.nodes, strict=True)
            if node.node in known and node.own
        ]


def step_ends(path: Path) -> tuple[int, ...]:
    """Index of the last token of every step of a path."""
    return tuple(end - 1 for end in itertools.accumulate(len(node.token_ids) for node in path.nodes))


def own_tokens(path: Path) -> list[bool]:
    """Whether the policy wrote each token of a path. Tool outputs have no value."""
    return [i >= node.observed for node in path.nodes for i in range(len(node.token_ids))]


TARGET_RULES: Registry[type[TargetRule]] = Registry(
    "target rule", package="data_gen.labelling.targets", group="data_gen.labelling.targets"
)
"""Name -> target builder."""
