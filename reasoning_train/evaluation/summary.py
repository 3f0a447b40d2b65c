"""Summarises the rows of an evaluation: one array per policy and metric, means with intervals, paired differences."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from data_gen.errors import UserError
from data_gen.search.votes import Ballot
from data_gen.search.votes.majority import Majority
from data_gen.search.votes.subsets import elect_among
from reasoning_train.evaluation.cut import CutCount
from reasoning_train.evaluation.figure_intervals import DrawnFigure, resampled, weighted
from reasoning_train.evaluation.groups import group_of
from reasoning_train.evaluation.intervals import Estimate, intervals, weighted_bounds
from reasoning_train.evaluation.metrics import pass_at_k
from reasoning_train.evaluation.names import bounds_of
from reasoning_train.evaluation.row_figures import declared
from reasoning_train.evaluation.selective import RowAnswers, selective_figures
from reasoning_train.store.table_row import TableRow

MOST_GROUPS = 50
"""Most groups of one kind in a table."""
NO_GROUP = "(none)"
"""Group of problems without the tag."""
Rows = dict[str, dict[str, dict[str, float]]]
"""policy -> problem -> metrics."""
Collected = tuple[Rows, set[str], dict[str, list[int]]]
"""policy -> problem -> metrics; the unverifiable problems; policy -> [right samples whose steps were checked,
those with a wrong step]."""


@dataclass(frozen=True, slots=True)
class _Sample:
    """A sample in the form that votes take."""

    answer: str | None
    outcome: float | None


def row_metrics(row: TableRow, ks: Sequence[int]) -> dict[str, float]:
    """The metrics of one (policy, problem) row.

    `accuracy`: the strategy's answer is right (for votes, the mean over ties and subsets). `trace`: the answer and all
    steps are right (tasks with a step checker). `pass@k`, `maj@k`: of the samples. `cut`: share of the strategy's
    completions that a limit cut. `tokens`: total cost of the strategy; `generated`, `scored` and `read` are parts of
    it. `calls`: completions asked of models. `coverage`: chance that a strategy which may abstain answers; an
    abstention is not right in `accuracy`. The row's own measures are added.
    """
    metrics = {"accuracy": known(row.accuracy, row), "tokens": float(row.tokens), "cut": row.cut}
    parts = {
        "generated": row.generated_tokens,
        "scored": row.scored_tokens,
        "read": row.read_tokens,
        "calls": row.calls,
    }
    metrics |= {name: float(part) for name, part in parts.items() if part is not None}
    if row.coverage is not None:
        metrics["coverage"] = row.coverage
    if row.steps_ok is not None:
        metrics["trace"] = metrics["accuracy"] * row.steps_ok
    metrics |= row.measures
    for k in ks:
        metrics[f"pass@{k}"] = pass_at_k(len(row.sampled_correct), sum(row.sampled_correct), k)
        if k > 1:
            metrics[f"maj@{k}"] = majority_at_k(row, k)
    return metrics


def majority_at_k(row: TableRow, k: int) -> float:
    """maj@k of one problem: P(the majority is right), averaged over subsets of k samples. Answers are grouped by the
    task's equality, ties are shared, and samples without an answer do not vote."""
    samples = zip(row.sampled_classes, row.sampled_correct, strict=True)
    cast = [Ballot(_Sample(str(number), float(right)), 1, 1.0) for number, right in samples if number >= 0]
    dead = len(row.sampled_classes) - len(cast)
    return known(elect_among(cast, dead, k, Majority(), str, row.problem_id).accuracy, row)


def known(accuracy: float | None, row: TableRow) -> float:
    """The accuracy of a verifiable row. UserError if it has none: that is not an accuracy of 0."""
    if accuracy is None:
        raise UserError(
            f"accuracy: {row.policy!r} has the verdict {row.verdict!r} and no accuracy on problem {row.problem_id!r}; "
            "expected a number from 0 to 1. Make the table again, or leave it empty only where the verdict is "
            "`unverifiable`."
        )
    return accuracy


def collect(rows: Iterable[TableRow], ks: Sequence[int]) -> Collected:
    """Group the rows of a table. A problem that is unverifiable for any policy is left out for all."""
    table: Rows = {}
    unverifiable: set[str] = set()
    wrong: dict[str, list[int]] = {}
    for row in rows:
        if row.verdict == "unverifiable":
            unverifiable.add(row.problem_id)
            continue
        table.setdefault(row.policy, {})[row.problem_id] = row_metrics(row, ks)
        counts = wrong.setdefault(row.policy, [0, 0])
        if row.steps_ok is not None:
            pairs = zip(row.sampled_correct, row.sampled_steps_ok, strict=True)
            checked = [steps for right, steps in pairs if right and steps is not None]
            counts[0] += len(checked)
            counts[1] += checked.count(False)
    for problems in table.values():
        for problem in unverifiable:
            problems.pop(problem, None)
    return table, unverifiable, wrong


@dataclass(slots=True)
class _Notes:
    """Properties of policies and problems other than metrics."""

    by: Sequence[str]
    ratios: Mapping[str, tuple[str, ...]]
    strategies: dict[str, str] = field(default_factory=dict)
    cut: dict[str, CutCount] = field(default_factory=dict)
    """Policy -> its samples, besides the completions of its strategy."""
    oracle: set[str] = field(default_factory=set)
    """Policies whose rows used gold."""
    groups: dict[str, dict[str, str]] = field(default_factory=dict)
    """Problem -> name in `by` -> its group."""
    sure: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)
    """Policy -> problem -> (confidence of the shown answer, whether it is right), where a rule says how sure it is."""

    def noting(self, rows: Iterable[TableRow]) -> Iterator[TableRow]:
        """Yields the rows unchanged and records their properties."""
        for row in rows:
            self.strategies.setdefault(row.policy, row.strategy)
            if row.sampled_cut:
                self.cut.setdefault(row.policy, CutCount()).add(row.sampled_cut)
            if row.oracle:
                self.oracle.add(row.policy)
            if row.confidence is not None and row.verdict in ("correct", "wrong"):
                shown = row.confidence, float(row.verdict == "correct")
                self.sure.setdefault(row.policy, {})[row.problem_id] = shown
            if row.problem_id not in self.groups:
                found = {name: group_of(name, row.tags, row.difficulty) for name in self.by}
                self.groups[row.problem_id] = {name: NO_GROUP if one is None else one for name, one in found.items()}
            yield row


def summarise_rows(
    rows: Iterable[dict[str, Any]],
    policies: Sequence[str],
    ks: Sequence[int],
    *,
    by: Sequence[str] = (),
    lower: Iterable[str] = (),
    shares: Collection[str] = (),
    ratios: Mapping[str, tuple[str, ...]] | None = None,
) -> dict[str, Any]:
    """`{"problems": P, "unverifiable": n, "strategies": {name: "greedy"}, "policies": {name: {metric: [value, low,
    high]}}, "differences": {name: {...}}, "groups": {"subject": {"algebra": {"problems": n, "policies": ...}}}}`.

    A metric that some problems lack (gold that a side grader cannot read) is taken over those that have it under every
    policy that has it at all; `partial` says how many they are. `cut_samples`: share of each policy's samples that a
    limit cut. Policies that may abstain have a `risk`, those that are more or less sure an `aurc` (`selective.py`).

    Args:
        by: Tags, or `difficulty`, by which problems are also grouped.
        lower: Measures for which lower is better.
        shares: Measures whose values lie between 0 and 1.
        ratios: Further metrics, each with the columns that it is made of (`row_figures.declared`).

    Raises:
        UserError: A name in `by` has more than `MOST_GROUPS` values, or no problem has it.
    """
    notes = _Notes(by, ratios or {})
    table, unverifiable, wrong = collect(notes.noting(map(TableRow.from_row, rows)), ks)
    problems = sorted(next(iter(table.values()), {}))
    base = policies[0]
    return {
        "problems": len(problems),
        "unverifiable": len(unverifiable),
        "base": base,
        "strategies": notes.strategies,
        "cut_samples": {name: count.share for name, count in notes.cut.items()},
        "oracle": sorted(notes.oracle),
        "lower": sorted(lower),
        "shares": sorted(shares),
        **({"ratios": {name: list(columns) for name, columns in notes.ratios.items()}} if notes.ratios else {}),
        **_compared(table, problems, policies, shares, notes),
        "groups": {name: _by_group(name, notes, table, problems, policies, shares) for name in by if problems},
        "wrong_step_share_of_correct": {name: bad / right for name, (right, bad) in wrong.items() if right},
    }


def _compared(
    table: Rows, problems: Sequence[str], policies: Sequence[str], shares: Collection[str], notes: _Notes
) -> dict[str, Any]:
    """Every policy's metrics on some problems, its differences from the first policy, and the metrics that not every
    problem has, with the number of problems that have them."""
    having = _having(table, problems, policies)
    arrays = {name: _arrays(table[name], having) for name in policies if problems}
    base = arrays.get(policies[0], {})
    differences = {
        name: {m: v - base[m] for m, v in metrics.items() if m in base}
        for name, metrics in arrays.items()
        if name != policies[0]
    }
    found, changes = _estimates(arrays, shares), _estimates(differences, shares, paired=True)
    for ratio, rows in _ratios(arrays, notes.ratios).items():
        limits = bounds_of(ratio, shares)
        for name, one in rows.items():
            found[name][ratio] = one.pooled(limits).numbers
            if name != policies[0] and policies[0] in rows:
                change = weighted(rows, {name: 1.0, policies[0]: -1.0})
                changes[name][ratio] = change.pooled(weighted_bounds(limits, (1.0, -1.0))).numbers
    for name, figures in selective_figures(_answers(table, problems, policies, notes)).items():
        found[name] |= figures
    return {
        "policies": found,
        "differences": changes,
        "partial": {metric: len(some) for metric, some in having.items() if len(some) < len(problems)},
    }


def _ratios(
    arrays: Mapping[str, Mapping[str, np.ndarray]], ratios: Mapping[str, tuple[str, ...]]
) -> dict[str, dict[str, DrawnFigure]]:
    """Every ratio of the policies that have its columns, for the same problems, and for which it is defined."""
    found = {}
    for ratio, columns in ratios.items():
        sizes = {name: {len(own.get(column, ())) for column in columns} for name, own in arrays.items()}
        having = {name: own for name, own in arrays.items() if len(sizes[name]) == 1 and 0 not in sizes[name]}
        stacked = {name: np.stack([own[column] for column in columns])[:, None] for name, own in having.items()}
        figure = declared(columns)
        known = {name: values for name, values in stacked.items() if not np.isnan(figure.value(values[:, 0]))}
        if known:
            found[ratio] = resampled(figure, known)
    return found


def _answers(table: Rows, problems: Sequence[str], policies: Sequence[str], notes: _Notes) -> dict[str, RowAnswers]:
    """What the policies answer that may abstain or say how sure they are."""
    found = {}
    for name in policies if problems else ():
        own, sure = [table[name][problem] for problem in problems], notes.sure.get(name, {})
        if sure or any("coverage" in one for one in own):
            coverage, accuracy = (np.array([one.get(m, np.nan) for one in own]) for m in ("coverage", "accuracy"))
            confidence, right = np.array([sure.get(problem, (np.nan, np.nan)) for problem in problems]).T
            found[name] = RowAnswers(coverage, accuracy, confidence, right)
    return found


def _having(table: Rows, problems: Sequence[str], policies: Sequence[str]) -> dict[str, list[str]]:
    """Metric -> the problems that have it under every policy that has it at all. Metrics without such a problem are
    left out."""
    found: dict[str, list[str]] = {}
    for policy in policies if problems else ():
        own = dict.fromkeys(metric for values in table[policy].values() for metric in values)
        for metric in own:
            found[metric] = [p for p in found.get(metric, problems) if metric in table[policy][p]]
    return {metric: some for metric, some in found.items() if some}


def _by_group(
    name: str,
    notes: _Notes,
    table: Rows,
    problems: Sequence[str],
    policies: Sequence[str],
    shares: Collection[str],
) -> dict[str, dict[str, Any]]:
    """Group -> number of problems, metrics and differences. Numeric groups come first, then texts, then problems
    without a group."""
    members: dict[str, list[str]] = {}
    for problem in problems:
        members.setdefault(notes.groups[problem][name], []).append(problem)
    if set(members) == {NO_GROUP}:
        raise UserError(f"by: no problem has a tag {name!r}. Name one of the problems' tags, or `difficulty`.")
    if len(members) > MOST_GROUPS:
        raise UserError(f"by: {name!r} has {len(members)} values; expected {MOST_GROUPS} at most. Name a coarser tag.")
    return {
        group: {"problems": len(members[group]), **_compared(table, members[group], policies, shares, notes)}
        for group in sorted(members, key=place)
    }


def place(group: str) -> tuple[int, float, str]:
    """Sorts groups: numbers first, then texts, then those without a group."""
    try:
        return 0, float(group), group
    except ValueError:
        return 2 if group == NO_GROUP else 1, 0.0, group


def _arrays(values: dict[str, dict[str, float]], having: Mapping[str, Sequence[str]]) -> dict[str, np.ndarray]:
    """Metric -> its values over the problems that have it. values: problem -> metrics of one policy."""
    own = set().union(*values.values())
    return {m: np.array([values[p][m] for p in some]) for m, some in having.items() if m in own}


def _estimates(
    arrays: dict[str, dict[str, np.ndarray]], shares: Collection[str], paired: bool = False
) -> dict[str, dict[str, list[float]]]:
    """[value, low, high] for every policy and metric. Metrics of equally many problems have one set of resamples.
    `paired`: the values are differences."""
    names = [(policy, metric) for policy, metrics in arrays.items() for metric in metrics]
    found: dict[tuple[str, str], Estimate] = {}
    for size in {len(arrays[policy][metric]) for policy, metric in names}:
        some = [(policy, metric) for policy, metric in names if len(arrays[policy][metric]) == size]
        values = np.stack([arrays[policy][metric] for policy, metric in some])[:, None, :]
        limits = [bounds_of(metric, shares) for _, metric in some]
        bounds = [weighted_bounds(limit, (1.0, -1.0)) if paired else limit for limit in limits]
        found |= zip(some, intervals(values, bounds), strict=True)
    result: dict[str, dict[str, list[float]]] = {}
    for policy, metric in names:
        result.setdefault(policy, {})[metric] = found[policy, metric].numbers
    return result
