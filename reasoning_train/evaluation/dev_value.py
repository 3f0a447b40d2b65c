"""One metric of one row of a finished table, for stop rules and choices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reasoning_train.api.stage import gate

if TYPE_CHECKING:
    from reasoning_train.api.refs import Ref
    from reasoning_train.api.stage import Input


def dev_value(table: Input, ref: Ref, metric: str, row: str | None, owner: str) -> float:
    """Mean of a metric over the verifiable problems that have it. `row` may be None if the table has only one.

    GateError if the table has no such row or metric. The message begins with `owner`, the field of the recipe.
    """
    from reasoning_train.evaluation.names import row_problem, wanted_ks
    from reasoning_train.evaluation.summary import collect
    from reasoning_train.store.inputs import read_table

    found = collect(read_table(table.path), wanted_ks([metric]))[0]
    gate(len(found) > 0, f"{owner}: {ref} has no problem that can be verified.")
    problem = row_problem(row, sorted(found), str(ref))
    gate(problem is None, f"{owner}.row: {problem}")
    problems = found[row] if row is not None else next(iter(found.values()))
    metrics = sorted(set().union(*(set(values) for values in problems.values())))
    gate(metric in metrics, f"{owner}.metric: {ref} has no metric {metric!r}; it has {', '.join(metrics)}.")
    having = [values[metric] for values in problems.values() if metric in values]
    return sum(having) / len(having)
