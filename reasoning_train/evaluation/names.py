"""Names of table rows and metrics, as far as they are known from the recipe before anything runs."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from data_gen.errors import nearest
from data_gen.measures.base import AT_K, COSTS, CURVES, SHARES, TOKENS

Bounds = tuple[float, float]
"""The least and the greatest possible value of a metric on one problem: (-1, 1) for a difference of accuracies."""
SHARE: Bounds = (0.0, 1.0)
"""Bounds of accuracies and other shares."""
MAJORITY, CHANCE, FIRST = "majority", "random distinct trace", "first sample"
"""Rows of `evaluate_verifier` that need no verifier."""
PREDICTED = ", predicted"
"""What the names of a strategy's rows in closed form add to its own: `NAME, predicted@4` (`limits.py`)."""
NO_ERROR, FIRST_STEP = 'always "no error"', "always the first step"
"""Rows of `evaluate_steps` that need no scorer."""
ON_WRONG, ON_RIGHT, F1 = "on_wrong", "on_right", "f1"
"""Figures of its rows: the shares of the solutions with and without an error that are judged right, and their harmonic
mean."""
FIRST_ERROR_COUNTS = ("faulty", "faulty_found", "sound", "sound_found")
"""Measures of its rows: how many solutions of a problem have an error, of how many of these it is found; how many have
none, for how many of these none is claimed."""
FIRST_ERROR_RATIOS: dict[str, tuple[str, ...]] = {
    ON_WRONG: ("faulty_found", "faulty"),
    ON_RIGHT: ("sound_found", "sound"),
    F1: ("faulty_found", "faulty", "sound_found", "sound"),
}
"""What the figures are made of."""
_CLOSE = 0.8
"""difflib similarity to a known name from which an unknown name counts as a misspelling, not as a measure."""


def is_predicted(row: str) -> bool:
    """Whether a row is a strategy's prediction in closed form.

    >>> is_predicted("until, predicted@4"), is_predicted("until@4")
    (True, False)
    """
    return row.rpartition("@")[0].endswith(PREDICTED)


def wanted_ks(metrics: Iterable[str]) -> list[int]:
    """The k of every pass@k and maj@k among the metrics.

    >>> wanted_ks(["accuracy", "pass@8"])
    [8]
    """
    return [int(found[1]) for metric in metrics if (found := AT_K.fullmatch(metric))]


def lower_is_better(metric: str, *manifests: Mapping[str, Any]) -> bool:
    """Whether lower is better for a metric: costs, cut solutions, and measures that a table's manifest declares so."""
    declared = [name for made in manifests for name in made.get("metrics", {}).get("summary", {}).get("lower", [])]
    return metric in (*COSTS, *CURVES, "cut", *declared)


def declared_shares(*manifests: Mapping[str, Any]) -> frozenset[str]:
    """The measures that every table with a summary declares as lying between 0 and 1."""
    summaries = [found for made in manifests if (found := made.get("metrics", {}).get("summary"))]
    return (
        frozenset.intersection(*(frozenset(one.get("shares", [])) for one in summaries)) if summaries else frozenset()
    )


def bounds_of(metric: str, shares: Collection[str] = ()) -> Bounds | None:
    """Bounds of a metric on one problem; None for counts, which are unbounded. `shares`: measures between 0 and 1."""
    return SHARE if metric in (*SHARES, *CURVES, *shares) or AT_K.fullmatch(metric) else None


def mixed_units(metrics: Sequence[str], shares: Collection[str] = ()) -> str | None:
    """Why one margin cannot belong to all of these metrics; None if they have one unit.

    >>> mixed_units(["accuracy", "pass@8"]), mixed_units(["accuracy", "tokens"])
    (None, 'accuracy is a share and tokens counts tokens')
    """
    units = {metric: _unit(metric, shares) for metric in metrics}
    first, *rest = units
    other = next((metric for metric in rest if units[metric] != units[first]), None)
    return None if other is None else f"{first} {units[first]} and {other} {units[other]}"


def _unit(metric: str, shares: Collection[str]) -> str:
    if bounds_of(metric, shares):
        return "is a share"
    if metric == "calls":
        return "counts completions"
    return "counts tokens" if metric in TOKENS else f"has the unit of the measure {metric!r}"


def split_row(row: str, tables: Sequence[str]) -> tuple[str, str]:
    """The table and row that a name in a claim refers to: `cot/policy` is row `policy` of table `cot`.

    A claim on a single table, whose name is empty, names rows alone. ValueError if there is no such table.
    """
    if "" in tables:
        return "", row
    table, slash, rest = row.partition("/")
    if not slash or table not in tables:
        raise ValueError(
            f"{row!r} names no table; write TABLE/ROW with one of the tables {', '.join(tables)}."
            f"{nearest(table, tables) if slash else ''}"
        )
    return table, rest


def row_problem(row: str | None, known: Sequence[str], table: str = "") -> str | None:
    """Why a stage cannot read the named row of a table that has the rows `known`; None if it can.

    >>> row_problem("tund", ["base", "tuned"], "eval")
    "the table 'eval' has no row 'tund'. Did you mean 'tuned'?"
    """
    named = f"the table {table!r}" if table else "the table"
    if row is None:
        return f"{named} has several rows; name one of {', '.join(known)}." if len(known) > 1 else None
    return None if row in known else f"{named} has no row {row!r}.{nearest(row, known)}"


def metric_problem(metric: str, config: Mapping[str, Any], *, cost: bool = False) -> str | None:
    """Why a stage with this config cannot provide a metric in its table; None if no problem is known."""
    if cost and metric not in COSTS:
        return f"there is no cost {metric!r}.{nearest(metric, COSTS)}"
    if (ks := wanted_ks([metric])) and config.get("samples", ks[0]) < ks[0]:
        return (
            f"{metric} needs {ks[0]} samples a problem, but the table draws {config['samples']}; raise its `samples`."
        )
    known = (*SHARES, *COSTS, *CURVES)
    if metric not in known and difflib.get_close_matches(metric, known, n=1, cutoff=_CLOSE):
        return f"there is no metric {metric!r}.{nearest(metric, known)}"
    return None
