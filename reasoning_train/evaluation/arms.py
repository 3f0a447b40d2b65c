"""Reads the table rows that a claim compares, paired by problem over all seeds. Arrays: S seeds, P problems."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from pathlib import Path

import numpy as np

from reasoning_train.api.stage import gate
from reasoning_train.evaluation.groups import Where, fits
from reasoning_train.evaluation.intervals import Estimate, interval
from reasoning_train.evaluation.names import SHARE, row_problem, split_row, wanted_ks
from reasoning_train.evaluation.row_figures import ANSWERED, CONFIDENCE, SHOWN_RIGHT
from reasoning_train.evaluation.summary import collect
from reasoning_train.store.inputs import read_table
from reasoning_train.store.table_row import TableRow


@dataclass(frozen=True, slots=True)
class Arms:
    """Values that a claim compares: `arms.values["accuracy"]["cot/policy"]` is [S, P]."""

    values: Mapping[str, Mapping[str, np.ndarray]]
    seeds: int
    problems: int
    left_out: int
    """Number of problems that are missing, unverifiable, or without one of the metrics in some row, table or seed."""
    coverage: Mapping[str, Estimate] = field(default_factory=dict)
    """Row -> share of these problems that it answers, of the rows that may abstain. `accuracy` counts the others as not
    right."""


@dataclass(slots=True)
class _Table:
    """One table of one seed: row -> problem -> metrics."""

    rows: dict[str, dict[str, dict[str, float]]]
    seen: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    unshown: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    """(row, problem) -> the columns that figures read and tables do not show."""


def read_arms(
    tables: Mapping[str, Sequence[Path]],
    rows: Sequence[str],
    metrics: Sequence[str],
    where: Where,
    min_shared: float,
) -> Arms:
    """Read the named rows of all tables and seeds. Only problems that are verifiable in all of them count.

    tables: name -> one path per seed, or a single path if the table does not depend on the seed. `metrics`: columns of
    rows, also those that only figures read (`row_figures.py`). GateError if a row or
    a metric is missing, or if less than `min_shared` of the problems are common to all.
    """
    seeds = max(len(paths) for paths in tables.values())
    places = [split_row(row, list(tables)) for row in rows]
    wanted = {name: {row for table, row in places if table == name} for name in tables}
    read = {name: [_read(path, metrics, where, wanted[name]) for path in paths] for name, paths in tables.items()}
    arms = {row: _over_seeds(row, read, seeds) for row in rows}
    seen = set.union(*(table.seen for each in read.values() for table in each))
    gate(len(seen) > 0, f"claim.where: no problem of the tables matches {where}.")
    shared = set.intersection(*(set(seed) for arm in arms.values() for seed in arm))
    known = _known(arms, shared)
    for metric in metrics:
        gate(
            metric in known or not shared,
            f"claim: the rows have no metric {metric!r}; they have {', '.join(sorted(known))}.",
        )
    order = sorted(p for p in shared if all(seed[p].keys() >= set(metrics) for arm in arms.values() for seed in arm))
    gate(
        len(order) >= min_shared * len(seen) and len(order) > 0,
        f"claim: {len(order)} of {len(seen)} problems are verifiable in every row, table and seed and have every "
        f"metric, fewer than min_shared={min_shared:g}. Evaluate all arms on the same problems, or lower `min_shared`.",
    )
    values = {metric: {row: _array(arm, order, metric) for row, arm in arms.items()} for metric in metrics}
    choosy = [row for row, arm in arms.items() if all("coverage" in seed[problem] for seed in arm for problem in order)]
    coverage = {row: interval(_array(arms[row], order, "coverage"), SHARE) for row in choosy}
    return Arms(values, seeds, len(order), len(seen) - len(order), coverage)


_Arm = list[dict[str, dict[str, float]]]
"""A row under every seed: problem -> metrics."""


def _known(arms: Mapping[str, _Arm], problems: Collection[str]) -> set[str]:
    """The metrics that every row has under every seed for some problem."""
    return set.intersection(*({m for p in problems for m in seed[p]} for arm in arms.values() for seed in arm))


def _array(arm: _Arm, order: Sequence[str], metric: str) -> np.ndarray:
    return np.array([[seed[problem][metric] for problem in order] for seed in arm])


def _over_seeds(row: str, read: Mapping[str, list[_Table]], seeds: int) -> _Arm:
    name, own = split_row(row, list(read))
    tables = read[name] * seeds if len(read[name]) == 1 else read[name]
    for table in tables:
        problem = row_problem(own, sorted(table.names), name)
        gate(problem is None, f"claim: {problem}")
    return [table.rows.get(own, {}) for table in tables]


def _read(path: Path, metrics: Sequence[str], where: Where, rows: Collection[str]) -> _Table:
    table, ks = _Table({}), wanted_ks(metrics)
    table.rows = collect(_noted(read_table(path), where, rows, max(ks, default=0), table), ks)[0]
    for row, problems in table.rows.items():
        for problem, own in problems.items():
            own |= {name: value for name, value in table.unshown[row, problem].items() if name in metrics}
    return table


def _unshown(row: TableRow) -> dict[str, float]:
    shown = row.verdict in ("correct", "wrong") and row.confidence is not None
    return {
        ANSWERED: 1.0 if row.coverage is None else row.coverage,
        CONFIDENCE: float(row.confidence) if shown and row.confidence is not None else nan,
        SHOWN_RIGHT: float(row.verdict == "correct"),
    }


def _noted(
    source: Iterable[TableRow], where: Where, rows: Collection[str], most: int, table: _Table
) -> Iterator[TableRow]:
    """Yields the rows that the claim names and `where` selects. Records in `table` the names of all rows, and the
    selected problems. `most`: the greatest k of the metrics."""
    for row in source:
        table.names.add(row.policy)
        if row.policy in rows and fits(where, row.tags, row.difficulty):
            drawn = len(row.sampled_correct)
            gate(
                drawn >= most,
                f"claim.metrics: {row.policy!r} has {drawn} samples of problem {row.problem_id}, fewer than k={most}.",
            )
            table.seen.add(row.problem_id)
            table.unshown[row.policy, row.problem_id] = _unshown(row)
            yield row
