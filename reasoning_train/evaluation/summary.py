"""Rows of an evaluation to numbers: one array per policy and metric, means with intervals, paired differences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_gen.search.votes import Ballot
from data_gen.search.votes.majority import Majority
from data_gen.search.votes.subsets import elect_among
from reasoning_train.evaluation.intervals import Estimate, intervals, weighted_bounds
from reasoning_train.evaluation.metrics import pass_at_k
from reasoning_train.evaluation.names import COSTS, bounds_of
from reasoning_train.evaluation.table_row import TableRow

Collected = tuple[dict[str, dict[str, dict[str, float]]], set[str], dict[str, list[int]]]
"""policy -> problem -> metrics; the unverifiable problems; policy -> [right samples, of these with a wrong step]."""


@dataclass(frozen=True, slots=True)
class _Sample:
    """A sample as votes see it."""

    answer: str | None
    outcome: float | None


def row_metrics(row: TableRow, ks: Sequence[int]) -> dict[str, float]:
    """The metrics of one (policy, problem) row.

    `accuracy`: the strategy's answer is right (rows of votes hold its mean over ties and subsets); `trace`: and no step
    is wrong (tasks with a step checker); `pass@k`, `maj@k` of the samples; `cut`: the share of the strategy's
    completions that a limit cut; `tokens`: all that the strategy cost, of which `generated` and `scored` are parts;
    and the row's own measures.
    """
    metrics = {"accuracy": row.accuracy or 0.0, "tokens": float(row.tokens), "cut": row.cut}
    parts = {"generated": row.generated_tokens, "scored": row.scored_tokens}
    metrics |= {name: float(part) for name, part in parts.items() if part is not None}
    if row.steps_ok is not None:
        metrics["trace"] = metrics["accuracy"] * row.steps_ok
    metrics |= row.measures
    for k in ks:
        metrics[f"pass@{k}"] = pass_at_k(len(row.sampled_correct), sum(row.sampled_correct), k)
        if k > 1:
            metrics[f"maj@{k}"] = majority_at_k(row, k)
    return metrics


def majority_at_k(row: TableRow, k: int) -> float:
    """maj@k of one problem: the mean over subsets of k samples of P(their majority is right), answers grouped by the
    task's equality, ties shared, samples without an answer silent."""
    samples = zip(row.sampled_classes, row.sampled_correct, strict=True)
    cast = [Ballot(_Sample(str(number), float(right)), 1, 1.0) for number, right in samples if number >= 0]
    dead = len(row.sampled_classes) - len(cast)
    return elect_among(cast, dead, k, Majority(), str.__eq__, row.problem_id).accuracy or 0.0


def collect(rows: Iterable[TableRow], ks: Sequence[int]) -> Collected:
    """Group the rows of a table; problems that are unverifiable for any policy are left out for all."""
    table: dict[str, dict[str, dict[str, float]]] = {}
    unverifiable: set[str] = set()
    wrong: dict[str, list[int]] = {}
    for row in rows:
        if row.verdict == "unverifiable":
            unverifiable.add(row.problem_id)
            continue
        table.setdefault(row.policy, {})[row.problem_id] = row_metrics(row, ks)
        counts = wrong.setdefault(row.policy, [0, 0])
        if row.steps_ok is not None:
            pairs = list(zip(row.sampled_correct, row.sampled_steps_ok, strict=True))
            counts[0] += sum(right for right, _ in pairs)
            counts[1] += sum(right and not steps for right, steps in pairs)
    for problems in table.values():
        for problem in unverifiable:
            problems.pop(problem, None)
    return table, unverifiable, wrong


def summarise_rows(rows: Iterable[dict[str, Any]], policies: Sequence[str], ks: Sequence[int]) -> dict[str, Any]:
    """`{"problems": P, "unverifiable": n, "strategies": {name: "greedy"}, "policies": {name: {metric: [value, low,
    high]}}, "differences": {name: {...}}}`."""
    strategies: dict[str, str] = {}
    oracle: set[str] = set()
    table, unverifiable, wrong = collect(_noting(map(TableRow.from_row, rows), strategies, oracle), ks)
    problems = sorted(next(iter(table.values()), {}))
    arrays = {name: _arrays(table[name], problems) for name in policies if problems}
    base = policies[0]
    differences = {
        name: {m: v - arrays[base][m] for m, v in metrics.items() if m in arrays[base]}
        for name, metrics in arrays.items()
    }
    differences.pop(base, None)
    return {
        "problems": len(problems),
        "unverifiable": len(unverifiable),
        "base": base,
        "strategies": strategies,
        "oracle": sorted(oracle),
        "policies": _estimates(arrays),
        "differences": _estimates(differences, paired=True),
        "wrong_step_share_of_correct": {name: bad / right for name, (right, bad) in wrong.items() if right},
    }


def summary_table(summary: dict[str, Any]) -> dict[str, Any]:
    """Columns and rows of text, as terminals and the report show them."""
    base = summary["base"]
    measured: dict[str, Any] = next(iter(summary["policies"].values()), {})
    names = [m for m in measured if m not in (*COSTS, "cut")]
    costs = [m for m in COSTS if m in measured]
    columns = ["policy", "strategy", *names, f"accuracy - {base}", "cut", *costs]
    rows = []
    for policy, metrics in summary["policies"].items():
        change = summary["differences"].get(policy, {}).get("accuracy")
        shown = [Estimate(*metrics[m]).percent() for m in names]
        marked = f"{policy} (oracle)" if policy in summary.get("oracle", ()) else policy
        difference = Estimate(*change).percent(signed=True) if change else ""
        cut = f"{100 * metrics['cut'][0]:.1f}"
        costly = [f"{metrics[m][0]:.1f}" for m in costs]
        rows.append([marked, summary["strategies"][policy], *shown, difference, cut, *costly])
    dropped = f", {n} unverifiable left out" if (n := summary["unverifiable"]) else ""
    return {
        "title": f"{summary['problems']} problems{dropped}, % with 95 % intervals, differences paired",
        "columns": columns,
        "rows": rows,
    }


def _noting(rows: Iterable[TableRow], strategies: dict[str, str], oracle: set[str]) -> Iterator[TableRow]:
    """The rows; collects each policy's strategy, and the policies of rows in which gold took part."""
    for row in rows:
        strategies.setdefault(row.policy, row.strategy)
        if row.oracle:
            oracle.add(row.policy)
        yield row


def _arrays(problems: dict[str, dict[str, float]], order: Sequence[str]) -> dict[str, np.ndarray]:
    names = next(iter(problems.values()))
    return {m: np.array([problems[p][m] for p in order]) for m in names}


def _estimates(arrays: dict[str, dict[str, np.ndarray]], paired: bool = False) -> dict[str, dict[str, list[float]]]:
    """[value, low, high] of every policy's every metric, from one set of resamples; `paired`: they are differences."""
    names = [(policy, metric) for policy, metrics in arrays.items() for metric in metrics]
    if not names:
        return {}
    values = np.stack([arrays[policy][metric] for policy, metric in names])[:, None, :]
    limits = [bounds_of(metric) for _, metric in names]
    found = intervals(values, [weighted_bounds(limit, (1.0, -1.0)) if paired else limit for limit in limits])
    result: dict[str, dict[str, list[float]]] = {}
    for (policy, metric), estimate in zip(names, found, strict=True):
        result.setdefault(policy, {})[metric] = [estimate.value, estimate.low, estimate.high]
    return result
