"""One metric of one row of a finished table, for stop rules and choices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_gen.measures.base import CURVES
from reasoning_train.api.stage import gate

if TYPE_CHECKING:
    from reasoning_train.api.refs import Ref
    from reasoning_train.api.stage import Input


def dev_value(table: Input, ref: Ref, metric: str, row: str | None, owner: str) -> float:
    """Mean of a metric over the verifiable problems that have it, or a figure of the row, such as F1. `row` may be None
    if the table has only one.

    GateError if the table has no such row or metric. The message begins with `owner`, the field of the recipe.
    """
    from reasoning_train.evaluation.names import row_problem, wanted_ks
    from reasoning_train.evaluation.summary import collect
    from reasoning_train.store.inputs import read_table

    found = collect(read_table(table.path), wanted_ks([metric]))[0]
    gate(len(found) > 0, f"{owner}: {ref} has no problem that can be verified.")
    problem = row_problem(row, sorted(found), str(ref))
    gate(problem is None, f"{owner}.row: {problem}")
    name = row if row is not None else next(iter(found))
    problems, summary = found[name], table.manifest.get("metrics", {}).get("summary", {})
    if metric in (*CURVES, *summary.get("ratios", {})):
        figures = summary.get("policies", {}).get(name, {})
        gate(metric in figures, f"{owner}.metric: row {name!r} of {ref} has no {metric}; it has {', '.join(figures)}.")
        return float(figures[metric][0])
    metrics = sorted(set().union(*(set(values) for values in problems.values())))
    gate(metric in metrics, f"{owner}.metric: {ref} has no metric {metric!r}; it has {', '.join(metrics)}.")
    having = [values[metric] for values in problems.values() if metric in values]
    return sum(having) / len(having)
