"""Rows of the closed form of resampling, and what they say together: plateau, rates, best numbers of draws."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_gen.records.trees import Tree, TreeNode
from data_gen.search.votes.ballots import ballots
from data_gen.search.votes.base import Ballot, Vote
from reasoning_train.evaluation.groups import group_of
from reasoning_train.evaluation.intervals import Estimate, interval
from reasoning_train.evaluation.limits import ACCEPTS_RIGHT, ACCEPTS_WRONG, ResamplingLimits
from reasoning_train.evaluation.names import PREDICTED, SHARE
from reasoning_train.evaluation.pools import Scored
from reasoning_train.evaluation.resampling import BestDraws, Draws, best_draws, within
from reasoning_train.evaluation.tables import Table
from reasoning_train.evaluation.vote_costs import dead_ends, tokens_of
from reasoning_train.evaluation.votes import ABSTAINED, VotedTrees
from reasoning_train.store.table_row import TableRow

DTYPES = (float, bool, float, float, float)


@dataclass(frozen=True, slots=True)
class Judged:
    """The draws of a pool, each judged by a verifier: `Judged(np.array([1.0, 0.0]), np.array([True, True]), ...)` is a
    right and a wrong one, both accepted."""

    right: np.ndarray
    """1 or 0 a draw: [D]."""
    accepted: np.ndarray
    """Whether it is accepted: [D]."""
    generated: np.ndarray
    """Tokens that it takes to draw: [D]."""
    scored: np.ndarray
    """Tokens that the verifier reads of it: [D]."""
    calls: np.ndarray
    """Completions asked of the policy: [D]."""

    def predicted(self, name: str, n: int, **fields: Any) -> TableRow:
        """The row of at most n draws. `fields`: those that do not depend on the strategy."""
        good = self.accepted & (self.right > 0)
        found = within(float(good.mean()), float((self.accepted & ~good).mean()), n)
        generated, scored, calls = (self._cost(cost, found.coverage, found.draws) for cost in self._costs())
        return TableRow(
            policy=name,
            strategy=f"closed form of at most {n} draws until one is accepted",
            verdict=ABSTAINED,
            accuracy=found.accuracy,
            coverage=found.coverage,
            tokens=generated + scored,
            generated_tokens=generated,
            scored_tokens=scored,
            calls=calls,
            measures=self._rates() if n == 1 else {},
            **fields,
        )

    def _costs(self) -> tuple[np.ndarray, ...]:
        return self.generated, self.scored, self.calls

    def _cost(self, cost: np.ndarray, accepted: float, draws: float) -> float:
        """Mean cost of the accepted draw, which comes last if at all, and of those before it."""
        last, before = (cost[some].mean() if some.any() else 0.0 for some in (self.accepted, ~self.accepted))
        return float(accepted * last + (draws - accepted) * before)

    def _rates(self) -> dict[str, float]:
        kinds = {ACCEPTS_RIGHT: self.right > 0, ACCEPTS_WRONG: self.right == 0}
        return {name: float(self.accepted[some].mean()) for name, some in kinds.items() if some.any()}


def predicted_rows(rows: Mapping[str, int], forest: VotedTrees, vote: Vote) -> Iterator[TableRow]:
    """Rows of the closed form of resampling by the pool's rates: name -> the most draws."""
    cast = [ballots(tree, vote) for tree in forest.trees]
    judged = judged_paths(forest.trees, cast, vote)
    for name, n in rows.items():
        if judged:
            yield judged.predicted(name, n, **forest.fields)
        else:
            yield TableRow(policy=name, strategy="", verdict="unverifiable", accuracy=None, **forest.fields)


def judged_paths(trees: Sequence[Tree], cast: Sequence[Sequence[Ballot[TreeNode]]], vote: Vote) -> Judged | None:
    """The paths of a problem's pools, all trees together. None if the outcome of one is not known."""
    if any(ballot.leaf.outcome is None for own in cast for ballot in own):
        return None
    draws = [draw for tree, own in zip(trees, cast, strict=True) for draw in _paths(tree, own, vote)]
    columns = zip(*draws, strict=True)
    return Judged(*(np.array(column, dtype=kind) for column, kind in zip(columns, DTYPES, strict=True)))


def judged_pool(scored: Scored, vote: Vote) -> Judged:
    """The solutions of a problem, judged by a verifier. One without an answer is not accepted."""
    pool = scored.pool
    accepted = [_takes(vote, one.answer, weight) for one, weight in zip(pool.solutions, scored.weights, strict=True)]
    columns = (pool.right, accepted, pool.generated, pool.read, [1] * len(accepted))
    return Judged(*(np.array(column, dtype=kind) for column, kind in zip(columns, DTYPES, strict=True)))


def _takes(vote: Vote, answer: str | None, score: float) -> bool:
    """Whether a candidate would be accepted."""
    return vote.accepting is not None and answer is not None and score >= vote.accepting


def _paths(tree: Tree, cast: Sequence[Ballot[TreeNode]], vote: Vote) -> list[tuple[float, bool, float, float, float]]:
    """Every path of one tree, with its share of the tree's costs. A tree without any is a draw without an answer."""
    ends = [
        (ballot.leaf.outcome or 0.0, _takes(vote, ballot.leaf.answer, ballot.score), tokens_of(tree, ballot.leaf))
        for ballot in cast
        for _ in range(ballot.copies)
    ]
    ends += [(0.0, False, tokens_of(tree, leaf)) for leaf in dead_ends(tree)]
    ends = ends or [(0.0, False, 0)]
    every, calls = sum(tokens for *_, tokens in ends) or 1, (tree.requests or len(ends)) / len(ends)
    generated, scored = tree.generated_tokens / every, tree.scored_tokens / every
    return [(right, accepted, generated * n, scored * n, calls) for right, accepted, n in ends]


def summarise_limits(
    limits: ResamplingLimits, names: Sequence[str], rows: Iterable[Mapping[str, Any]], by: Sequence[str] = ()
) -> dict[str, Any]:
    """Strategy -> plateau, rates and best numbers of draws. names: strategies with predictions; rows: of the table.

    `{"resample": {"problems": 300, "plateau": [value, low, high], "answered": ..., "accepts_right": ...,
    "accepts_wrong": ..., "best": [{"price": 1.0, "n": 4, ...}], "groups": {"difficulty": {"2": {"plateau": ...}}}}}`.
    Problems that are unverifiable for any row are left out, as in the table.
    """
    wanted = {f"{name}{PREDICTED}@1": name for name in names}
    found: dict[str, dict[str, TableRow]] = {name: {} for name in names}
    unread = set[str]()
    for row in rows:
        if row["verdict"] == "unverifiable":
            unread.add(row["problem_id"])
        elif row["policy"] in wanted:
            found[wanted[row["policy"]]][row["problem_id"]] = TableRow.from_row(row)
    kept = {name: [row for key, row in own.items() if key not in unread] for name, own in found.items()}
    return {name: _summary(limits, own, by) for name, own in kept.items() if own}


def _summary(limits: ResamplingLimits, rows: Sequence[TableRow], by: Sequence[str]) -> dict[str, Any]:
    draws = _draws(rows)
    members: dict[str, dict[str, list[TableRow]]] = {name: {} for name in by}
    for row in rows:
        for name in by:
            if (group := group_of(name, row.tags, row.difficulty)) is not None:
                members[name].setdefault(group, []).append(row)
    return {
        **_figures(rows),
        "best": [_best(best_draws(draws, price, limits.most)) for price in limits.price],
        "groups": {name: {group: _figures(own) for group, own in found.items()} for name, found in members.items()},
    }


def _draws(rows: Sequence[TableRow]) -> Draws:
    right = np.array([row.accuracy for row in rows], dtype=float)
    return Draws(right, np.array([row.coverage for row in rows], dtype=float) - right)


def _figures(rows: Sequence[TableRow]) -> dict[str, Any]:
    draws = _draws(rows)
    shares = {"plateau": draws.plateau, "answered": (draws.accepted > 0).astype(float)}
    for name in (ACCEPTS_RIGHT, ACCEPTS_WRONG):
        shares[name] = np.array([row.measures[name] for row in rows if name in row.measures])
    return {"problems": len(rows), **{name: interval(v, SHARE).numbers for name, v in shares.items() if len(v)}}


def _best(best: BestDraws) -> dict[str, Any]:
    return {
        "price": best.price,
        "n": best.n,
        "span": list(best.span),
        "worth": best.worth.numbers,
        "endless": best.endless,
        "beyond": best.beyond,
    }


def limits_table(found: Mapping[str, Mapping[str, Any]], limits: ResamplingLimits) -> Table:
    """A row a strategy: rates, plateau, and the best number of draws with its worth for every price."""
    prices = [f"{what} at price {price:g}" for price in limits.price for what in ("best draws", "worth")]
    return {
        "title": "limits of drawing until a candidate is accepted, predicted from the rates of each problem's draws, % "
        f"with 95 % intervals; the best of 0 to {limits.most} draws",
        "columns": ["strategy", "accepts right", "accepts wrong ↓", "plateau", "ever accepted", *prices],
        "rows": [[name, *_cells(one)] for name, one in found.items()],
    }


def _cells(one: Mapping[str, Any]) -> list[str]:
    shares = [
        Estimate(*one[name]).percent() if name in one else ""
        for name in (ACCEPTS_RIGHT, ACCEPTS_WRONG, "plateau", "answered")
    ]
    return [*shares, *(cell for best in one["best"] for cell in _best_cells(best))]


def _best_cells(best: Mapping[str, Any]) -> tuple[str, str]:
    low, high = best["span"]
    over = "> " if best["beyond"] else ""
    return f"{over}{best['n']} [{low}, {high}]", "{:.3f} [{:.3f}, {:.3f}]".format(*best["worth"])
