"""Names of rows and metrics of tables, as far as a recipe tells them before anything runs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from data_gen.errors import nearest

Bounds = tuple[float, float]
"""The least and the greatest value that a metric can have on one problem: (-1, 1) for a difference of accuracies."""
SHARE: Bounds = (0.0, 1.0)
"""Of an accuracy and whatever else is a share."""
COSTS = ("tokens", "generated", "scored")
"""Metrics that are counts of tokens, not shares."""
SHARES = ("accuracy", "trace", "cut")
"""Metrics of every table that lie between 0 and 1; pass@k and maj@k do, too."""
_AT_K = re.compile(r"(?:pass|maj)@(\d+)")
_CLOSE = 0.8
"""How alike (difflib) an unknown name must be to a known one to be taken for a misspelling rather than a measure."""


def wanted_ks(metrics: Iterable[str]) -> list[int]:
    """The k of every pass@k and maj@k among some metrics.

    >>> wanted_ks(["accuracy", "pass@8"])
    [8]
    """
    return [int(found[1]) for metric in metrics if (found := _AT_K.fullmatch(metric))]


def lower_is_better(metric: str, *manifests: Mapping[str, Any]) -> bool:
    """Whether less of a metric is better: costs, cut solutions, and measures of which the manifest of a table says
    so."""
    declared = [name for made in manifests for name in made.get("metrics", {}).get("summary", {}).get("lower", [])]
    return metric in (*COSTS, "cut", *declared)


def bounds_of(metric: str) -> Bounds | None:
    """Between which values a metric of one problem lies; None for counts and measures, which nothing limits."""
    return SHARE if metric in SHARES or _AT_K.fullmatch(metric) else None


def split_row(row: str, tables: Sequence[str]) -> tuple[str, str]:
    """The table and the row in it that a claim's name means: `cot/policy` is row `policy` of table `cot`.

    A claim on one table, whose name is empty, names its rows alone. ValueError where no table has that name.
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


def metric_problem(metric: str, config: Mapping[str, Any], *, cost: bool = False) -> str | None:
    """What is wrong with a metric of the table that a stage of this configuration makes; None where nothing is known to
    be."""
    if cost and metric not in COSTS:
        return f"there is no cost {metric!r}.{nearest(metric, COSTS)}"
    if (ks := wanted_ks([metric])) and config.get("samples", ks[0]) < ks[0]:
        return (
            f"{metric} needs {ks[0]} samples a problem, but the table draws {config['samples']}; raise its `samples`."
        )
    known = (*SHARES, *COSTS)
    if metric not in known and difflib.get_close_matches(metric, known, n=1, cutoff=_CLOSE):
        return f"there is no metric {metric!r}.{nearest(metric, known)}"
    return None
