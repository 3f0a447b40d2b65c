"""Reads the strategies that `adaptive` chooses from: first what they achieved, then the rows that were chosen."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from data_gen.errors import UserError
from reasoning_train.evaluation.names import is_predicted, row_problem, split_row
from reasoning_train.store.inputs import read_table
from reasoning_train.store.rows import Rows
from reasoning_train.store.table_row import TableRow

_READ = ["policy", "problem_id", "accuracy", "tokens", "coverage", "oracle"]
Result = tuple[float | None, float]
"""Accuracy, None if it cannot be verified, and tokens."""


@dataclass(frozen=True, slots=True)
class StrategyTables:
    """Results by strategy and problem: `found.results["beam"]["p0"] == (1.0, 240.0)`. The rows themselves stay on
    disk."""

    results: Mapping[str, Mapping[str, Result]]
    abstain: bool
    """Whether any strategy may abstain."""
    paths: Mapping[str, Path]
    places: Mapping[str, Mapping[str, str]]
    """Table -> row -> strategy."""

    @classmethod
    def read(cls, paths: Mapping[str, Path], strategies: Sequence[str], known: Collection[str]) -> Self:
        """Read accuracy and tokens of the strategies.

        Args:
            paths: Name -> folder of a table; a single table has an empty name.
            strategies: Rows, `TABLE/ROW` where tables have names. Empty: all.
            known: Ids of all problems that the stage names.

        Raises:
            UserError: A table has no such row, saw gold in it, or has rows of another problem.
        """
        places = _places(paths, strategies)
        results: dict[str, dict[str, Result]] = {name: {} for own in places.values() for name in own.values()}
        abstain = False
        for table, own in places.items():
            for row in Rows(paths[table], _READ):
                if row["problem_id"] not in known:
                    raise UserError(
                        f"adaptive: the table{f' {table!r}' if table else ''} holds {row['problem_id']!r}, which is "
                        "not among `problems`. Name the problems on which it was measured."
                    )
                if (strategy := own.get(row["policy"])) is None:
                    continue
                if row["oracle"]:
                    raise UserError(
                        f"adaptive.strategies: {strategy!r} saw gold, and what sees gold is no strategy to choose. "
                        "Name the others in `strategies`."
                    )
                results[strategy][row["problem_id"]] = row["accuracy"], row["tokens"]
                abstain |= row["coverage"] is not None
        return cls(results, abstain, paths, places)

    def has(self, problem_id: str) -> bool:
        """Whether every strategy has a row of the problem."""
        return all(problem_id in own for own in self.results.values())

    def verifiable(self, problem_id: str) -> bool:
        """Whether every strategy's answer to the problem was graded."""
        return all(own[problem_id][0] is not None for own in self.results.values())

    def rows(self, wanted: Collection[tuple[str, str]]) -> Iterator[tuple[str, TableRow]]:
        """(strategy, row) of the wanted (strategy, problem) pairs, streamed in the order of the tables."""
        for table, own in self.places.items():
            for row in read_table(self.paths[table]):
                strategy = own.get(row.policy)
                if strategy is not None and (strategy, row.problem_id) in wanted:
                    yield strategy, row


def _places(paths: Mapping[str, Path], strategies: Sequence[str]) -> dict[str, dict[str, str]]:
    """Table -> row -> strategy. UserError if a strategy names no row."""
    rows = {name: [*dict.fromkeys(row["policy"] for row in Rows(path, ["policy"]))] for name, path in paths.items()}
    places: dict[str, dict[str, str]] = {}
    for strategy in strategies or strategies_of(rows):
        if said := strategy_problem(strategy, rows):
            raise UserError(f"adaptive.strategies: {said}")
        table, row = split_row(strategy, list(paths))
        places.setdefault(table, {})[row] = strategy
    return places


def strategies_of(rows: Mapping[str, Sequence[str]]) -> list[str]:
    """All rows of tables as strategies: `TABLE/ROW`, or the rows of a single table, whose name is empty. Predictions in
    closed form are left out, since nobody can follow them.

    >>> strategies_of({"": ["beam"]}), strategies_of({"pool": ["until", "until, predicted@4"], "beams": ["beam"]})
    (['beam'], ['pool/until', 'beams/beam'])
    """
    return [
        f"{table}/{row}" if table else row for table, found in rows.items() for row in found if not is_predicted(row)
    ]


def strategy_problem(strategy: str, rows: Mapping[str, Sequence[str]]) -> str | None:
    """Why a strategy names no row of the tables; None if it does, or if the table's rows are not known."""
    try:
        table, row = split_row(strategy, list(rows))
    except ValueError as error:
        return str(error)
    if is_predicted(row):
        return f"{strategy!r} is a prediction in closed form, not a strategy. Name the row that it predicts."
    return row_problem(row, rows[table], table) if rows[table] else None
