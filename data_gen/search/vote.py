"""Voting: how the final paths of a stored tree become one answer. Every rule reads the same tree, so a pool is drawn
once.

`argmax` takes the path of the best score, `majority` the answer of most paths, `weighted` the answer of the greatest
summed score ("best-of-N weighted" of Snell et al., arXiv 2408.03314), `draw` a path in proportion to its score. Unlike
in released code (search-and-learn compares normalised strings) answers are equal where the task says so, and equal
scores share the vote instead of the first one winning.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from data_gen.engines.base import stream_seed
from data_gen.errors import UserError
from data_gen.records.scales import Scale, convert, convertible
from data_gen.records.trees import Tree, TreeNode

T = TypeVar("T")


class Candidate(Protocol):
    """What is voted on: the end of a path in a tree, or a solution."""

    @property
    def answer(self) -> str | None:
        """None where there is none."""

    @property
    def outcome(self) -> float | None:
        """1 right, 0 wrong, None where it cannot be verified."""


C = TypeVar("C", bound=Candidate)
Same = Callable[[str, str], bool]
"""Whether two answers are one answer to the task."""
Rule = Literal["argmax", "weighted", "majority", "draw"]


class Vote(BaseModel):
    """A rule and the score that it counts: `Vote(rule="argmax", score="min")`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: Rule = "weighted"
    score: Literal["search", "last", "min", "prod", "mean"] = "search"
    """`search`: the weight that the search left; else the values of the path's steps, aggregated (every step must have
    one)."""


@dataclass(frozen=True, slots=True)
class Ballot(Generic[C]):
    """`copies` final paths that end in `leaf`, each of this score: `Ballot(leaf, 2, 0.75)`."""

    leaf: C
    copies: int
    score: float


@dataclass(frozen=True, slots=True)
class Elected(Generic[C]):
    """The outcome of a vote."""

    leaf: C | None
    """The seeded choice; None where no path has an answer."""
    accuracy: float | None
    """P(the choice is right) over what the rule leaves to chance: ties, draws. 0 without a path, None where it cannot
    be verified."""


def ballots(tree: Tree, score: str = "search") -> list[Ballot[TreeNode]]:
    """The final paths that have an answer, in order of creation. UserError where a step that the score needs has no
    value."""
    return [
        Ballot(leaf, leaf.votes, _score(tree, leaf, score))
        for leaf in tree.nodes
        if leaf.votes and leaf.terminal == "answer"
    ]


def elect(cast: Sequence[Ballot[C]], rule: Rule, same: Same, key: str) -> Elected[C]:
    """The choice among `cast`. `key` (e.g. the problem's id) seeds what is left to chance.

    >>> leaf = TreeNode(node=1, parent=0, depth=1, text="Answer: 4", token_ids=(4,), terminal="answer",
    ...     answer="4", outcome=1.0)
    >>> elect([Ballot(leaf, 3, 0.5)], "majority", str.__eq__, "p").accuracy
    1.0
    """
    chances = _chances(cast, rule, same)
    if not chances:
        return Elected(None, 0.0)
    rng = random.Random(stream_seed(0, key, "vote", rule))
    [leaf] = rng.choices([leaf for leaf, _ in chances], [chance for _, chance in chances])
    if any(leaf.outcome is None for leaf, _ in chances):
        return Elected(leaf, None)
    return Elected(leaf, sum(chance * (leaf.outcome or 0.0) for leaf, chance in chances))


def as_weight(value: float, scale: Scale) -> float:
    """A value as a vote that is not negative: P(correct) where the scale converts, progress as it is, exp(score) for a
    ranking."""
    if scale is Scale.RANKING:
        return math.exp(min(value, 50.0))
    return convert(value, scale, Scale.P) if convertible(scale, Scale.P) else value


def grouped(cast: Sequence[Ballot[C]], same: Same) -> list[list[Ballot[C]]]:
    """Ballots by answer, groups in order of their first."""
    groups: list[list[Ballot[C]]] = []
    by_text: dict[str | None, list[Ballot[C]]] = {}
    for ballot in cast:
        answer = ballot.leaf.answer
        group = by_text.get(answer) or next((g for g in groups if same(g[0].leaf.answer or "", answer or "")), None)
        if group is None:
            groups.append(group := [])
        by_text[answer] = group
        group.append(ballot)
    return groups


def _chances(cast: Sequence[Ballot[C]], rule: Rule, same: Same) -> list[tuple[C, float]]:
    """(leaf, its chance to be chosen); a leaf stands for its answer under the rules that count answers."""
    match rule:
        case "draw":
            weights = [(ballot.leaf, ballot.copies * ballot.score) for ballot in cast]
            weights = (
                weights
                if any(weight > 0 for _, weight in weights)
                else [(ballot.leaf, float(ballot.copies)) for ballot in cast]
            )
        case "argmax":
            weights = [(ballot.leaf, float(ballot.copies)) for ballot in _top(cast, [ballot.score for ballot in cast])]
        case _:
            groups = grouped(cast, same)
            totals = [sum(b.copies * (b.score if rule == "weighted" else 1.0) for b in group) for group in groups]
            weights = [(max(group, key=lambda b: b.score).leaf, 1.0) for group in _top(groups, totals)]
    total = sum(weight for _, weight in weights)
    return [(leaf, weight / total) for leaf, weight in weights if weight > 0]


def _top(items: Sequence[T], scores: Sequence[float]) -> list[T]:
    """All items of the greatest score; sums that differ by rounding only are equal."""
    best = max(scores, default=0.0)
    return [
        item
        for item, score in zip(items, scores, strict=True)
        if math.isclose(score, best, rel_tol=1e-9, abs_tol=1e-12)
    ]


def _score(tree: Tree, leaf: TreeNode, score: str) -> float:
    if score == "search":
        return leaf.weight / leaf.votes
    steps = [leaf] if score == "last" else tree.path(leaf)
    values = [as_weight(step.value, Scale(tree.scale)) for step in steps if step.value is not None]
    if len(values) < len(steps):
        raise UserError(
            f"vote.score is {score!r}, but a step of the tree of {tree.problem_id!r} has no value. Use `score: "
            "search`, "
            "or a search that scores every step."
        )
    return {"last": values[-1], "min": min(values), "prod": math.prod(values), "mean": sum(values) / len(values)}[score]
