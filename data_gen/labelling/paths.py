"""The path policy: which root-to-leaf paths of a problem's trees become rows."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from data_gen.errors import UserError
from data_gen.labelling.reach import ends
from data_gen.records.trees import Held, Tree, TreeNode
from data_gen.registry import Part
from data_gen.similarity import jaccard, shingles

Dropped = Counter[str]
"""Reason -> number of paths dropped."""


@dataclass(frozen=True, slots=True)
class Path:
    """`Path(tree, (first_step, ..., leaf))`: one complete path. The root is not part of `nodes`."""

    tree: Tree
    nodes: tuple[TreeNode, ...]

    @property
    def leaf(self) -> TreeNode:
        """Where it ends."""
        return self.nodes[-1]

    @property
    def right(self) -> bool:
        """Whether it ends with a right answer."""
        return self.leaf.outcome == 1.0

    @property
    def text(self) -> str:
        """The solution as text."""
        return "".join(node.text for node in self.nodes)

    @property
    def token_ids(self) -> tuple[int, ...]:
        """The solution's ids."""
        return tuple(token for node in self.nodes for token in node.token_ids)

    @property
    def perplexity(self) -> float:
        """exp of the mean negative log-probability of its tokens under the policy. UserError if the engine returned
        none."""
        known = [node.logprob for node in self.nodes if node.logprob is not None]
        if len(known) < len(self.nodes):
            raise UserError(
                f"Perplexity needs log-probs, but the tree of problem {self.tree.problem_id!r} has steps without "
                "them, because the engine gave none. Rank by `mean_q`, `draws` or `random`."
            )
        return math.exp(-sum(known) / max(1, len(self.token_ids)))

    @property
    def mean_q(self) -> float:
        """Mean Q of its visited nodes. -inf if none was visited."""
        known = [node.q for node in self.nodes if node.q is not None]
        return sum(known) / len(known) if known else -math.inf


RANKS: dict[str, Callable[[Path], float]] = {
    "mean_q": lambda path: -path.mean_q,
    "high_perplexity": lambda path: -path.perplexity,
    "low_perplexity": lambda path: path.perplexity,
    "draws": lambda path: -path.leaf.draws,
}
"""Sort key of each rank, best first."""


class PathPolicy(Part):
    """At most k right and k wrong paths a problem: AlphaMath takes `{correct: 4, wrong: 4}`, rStar-Math `{correct: 2,
    rank: mean_q}`."""

    correct: int | None = Field(4, ge=0)
    """None: all."""
    wrong: int | None = Field(0, ge=0)
    """Always a random choice, which keeps wrong paths diverse."""
    rank: Literal["random", "mean_q", "high_perplexity", "low_perplexity", "draws"] = "random"
    """Order in which right paths are taken. STILL-2 prefers right answers that the policy finds unlikely
    (`high_perplexity`)."""
    steps: Literal["any", "right"] = "any"
    """`right`: drops right answers in which the task's step checker finds a wrong step."""
    dedupe: Literal["exact", "near"] = "exact"
    """Deduplication over all trees of a problem: equal texts, or word 3-gram Jaccard similarity of at least `near`. The
    first in rank is kept."""
    near: float = Field(0.8, gt=0, le=1)

    @property
    def reads(self) -> frozenset[Held]:
        """What the nodes of a tree must hold for it. It is checked when a recipe loads."""
        found: dict[Held, bool] = {"visits": self.rank == "mean_q", "checked_steps": self.steps == "right"}
        return frozenset(name for name, needed in found.items() if needed)

    def choose(self, trees: Sequence[Tree], rng: random.Random, *, whole: bool) -> tuple[list[Path], Dropped]:
        """Paths of one problem's trees, right ones first, and the number dropped per reason. `whole`: without paths cut
        by a limit."""
        dropped: Dropped = Counter()
        paths = [path for tree in trees for path in _paths(tree) if self._fits(path, dropped, whole)]
        right = self._ranked([path for path in paths if path.right], rng)
        wrong = self._ranked([path for path in paths if not path.right], rng, by="random")
        return [*self._first(right, self.correct, dropped), *self._first(wrong, self.wrong, dropped)], dropped

    def _fits(self, path: Path, dropped: Dropped, whole: bool) -> bool:
        reason = ""
        if path.leaf.outcome is None:
            reason = "unverifiable"
        elif whole and path.leaf.terminal == "limit":
            reason = "cut_by_length_limit"
        elif path.right and self.steps == "right" and path.leaf.steps_ok is False:
            reason = "wrong_step"
        dropped.update([reason] if reason else [])
        return not reason

    def _ranked(self, paths: list[Path], rng: random.Random, by: str | None = None) -> list[Path]:
        by = by or self.rank
        return rng.sample(paths, len(paths)) if by == "random" else sorted(paths, key=RANKS[by])

    def _first(self, paths: Iterable[Path], most: int | None, dropped: Dropped) -> list[Path]:
        distinct = list(self._distinct(paths, dropped))
        kept = distinct[:most]
        dropped["max_per_problem"] += len(distinct) - len(kept)
        return kept

    def _distinct(self, paths: Iterable[Path], dropped: Dropped) -> Iterator[Path]:
        exact: set[str] = set()
        near: list[set[str]] = []
        for path in paths:
            grams = shingles(path.text) if self.dedupe == "near" else set()
            if path.text in exact or any(jaccard(grams, other) >= self.near for other in near):
                dropped["duplicate"] += 1
                continue
            exact.add(path.text)
            near += [grams] if grams else []
            yield path


def _paths(tree: Tree) -> list[Path]:
    return [Path(tree, tuple(tree.path(leaf))) for leaf in ends(tree)]
