"""Seconds that strategies took, from the manifests of the searches whose trees they read.

They depend on the machine and its load, so they are in no row of a table: rows are equal wherever a stage runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reasoning_train.evaluation.names import PREDICTED

Manifests = Mapping[str, Mapping[str, Any]]
"""Key -> manifest of every artifact that is known."""


def seconds_per_token(table: Mapping[str, Any], row: str, made: Manifests) -> float | None:
    """Seconds for each token that a row of a table is charged for; None if its search is not known.

    A search's seconds (of all its processes) are dealt out by tokens drawn and read: n of a pool's N paths have n / N
    of them, and a rule that stops early has the share that it drew.
    """
    strategies = table["config"].get("strategies", {}) if table["uses"] == "evaluate_trees" else {}
    own = next((strategies[name] for name in _names(row) if name in strategies), None)
    if own is None:
        return None
    read = own.get("rates") if PREDICTED in row else None
    search = made.get((read or own["trees"])["key"], {})
    trees = search.get("metrics", {}).get("trees", {})
    tokens = trees.get("trees", 0) * (trees.get("generated_tokens", 0) + trees.get("scored_tokens", 0))
    seconds = _seconds(search, made) if tokens else None
    return None if seconds is None else seconds / tokens


def _names(row: str) -> list[str]:
    """What the strategy of a row may be called: the row itself, or what stands before its number."""
    name = row.rpartition("@")[0]
    return [row, name, name.removesuffix(PREDICTED)]


def _seconds(search: Mapping[str, Any], made: Manifests) -> float | None:
    """Seconds of all processes of a search, and of what it used of the samples that it began with."""
    own = search.get("process_s", search.get("wall_s"))
    given = search["config"].get("solutions")
    if not given or own is None:
        return own
    sample = made.get(given["key"], {})
    drawn, n = sample.get("config", {}).get("n"), search["config"]["search"].get("n")
    if sample.get("uses") != "sample" or not drawn or not n:
        return None
    return float(own + sample.get("process_s", sample["wall_s"]) * min(1.0, n / drawn))
