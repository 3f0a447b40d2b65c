"""The rows and the extra table of `adaptive`: chosen rows under new names, what they cost more, who got what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from reasoning_train.evaluation.adaptive import Fitted
from reasoning_train.evaluation.tables import Table
from reasoning_train.evaluation.vote_costs import Cost
from reasoning_train.store.table_row import TableRow


def renamed(row: TableRow, name: str, strategy: str, *, fee: Cost | None, oracle: bool, abstain: bool) -> TableRow:
    """A strategy's row as the row `name` of the table, with the cost of the estimate on top.

    Args:
        row: The strategy's own.
        name: Of the row to be.
        strategy: Which strategy it was.
        fee: What the estimate costs, None where it is free.
        oracle: Whether gold chose the strategy.
        abstain: Whether any strategy may abstain; those that never do then have a coverage of 1.
    """
    own = replace(
        row,
        policy=name,
        strategy=strategy,
        oracle=oracle,
        confidence=None,
        coverage=1.0 if abstain and row.coverage is None else row.coverage,
    )
    return own if fee is None else _charged(own, fee)


def _charged(row: TableRow, fee: Cost) -> TableRow:
    return replace(
        row,
        tokens=row.tokens + fee.generated + fee.scored,
        generated_tokens=None if row.generated_tokens is None else row.generated_tokens + fee.generated,
        scored_tokens=None if row.scored_tokens is None else row.scored_tokens + fee.scored,
        calls=None if row.calls is None or fee.calls is None else row.calls + fee.calls,
    )


def mean_cost(costs: Sequence[Cost]) -> dict[str, float]:
    """Mean tokens and calls of the estimate: `{"tokens": 96.0, "generated": 96.0, "scored": 0.0, "calls": 4.0}`."""
    generated, scored = (sum(found) / len(costs) for found in ([c.generated for c in costs], [c.scored for c in costs]))
    calls = sum(c.calls or 0.0 for c in costs) / len(costs)
    return {"tokens": generated + scored, "generated": generated, "scored": scored, "calls": calls}


def chosen_table(fitted: Mapping[str, Sequence[Fitted]]) -> Table:
    """Which strategy every bin of every fold was given, easiest bin first."""
    most = max(len(one.strategies) for folds in fitted.values() for one in folds)
    return {
        "title": "strategies by bin of difficulty, easiest first, as the other folds chose them",
        "columns": ["policy", "fold", *(f"bin {b + 1}" for b in range(most))],
        "rows": [*_lines(fitted, most)],
    }


def _lines(fitted: Mapping[str, Sequence[Fitted]], most: int) -> Iterator[list[str]]:
    for name, folds in fitted.items():
        for one in folds:
            yield [name, str(one.fold + 1), *one.strategies, *[""] * (most - len(one.strategies))]
