"""Columns of traces in a batch: further data that losses read at each token, for any packing.

A column of ids is part of a prediction's key: two teachers' tokens at one column of a packed tree are two predictions.
Other numbers are stored per token.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from reasoning_train.packing.rows import Trace

if TYPE_CHECKING:
    import torch


class TraceColumns:
    """Collects, token by token, the columns that all traces with weighted tokens have.

    >>> trace = Trace((5, 9), (0.0, 1.0), columns={"ids": ((0, 0), (4, 7)), "p": (0.0, 0.5)})
    >>> columns = TraceColumns([trace])
    >>> [*columns.read(trace, 1)], columns.told
    ([(4, 7)], {'ids': [(4, 7)], 'p': [0.5]})
    """

    def __init__(self, traces: Sequence[Trace]) -> None:
        """ValueError if a column is not as long as its trace."""
        for number, trace in enumerate(traces):
            for name, column in trace.columns.items():
                if len(column) != len(trace):
                    raise ValueError(
                        f"trace {number} has {len(trace)} tokens and {len(column)} entries in its column {name!r}; "
                        "expected as many"
                    )
        learnt = [trace for trace in traces if any(trace.weights[1:])] or traces
        self.first = learnt[0] if learnt else Trace((), ())
        names = [name for name in self.first.columns if all(name in trace.columns for trace in learnt)]
        self.ids = [name for name in names if _is_ids(self.first.columns[name][0])]
        self.told: dict[str, list[Any]] = {name: [] for name in names}
        """Name -> one entry per token that carries weight."""

    def read(self, trace: Trace, t: int) -> Iterator[Any]:
        """Record the entries of token t; returns those of columns of ids."""
        for name, told in self.told.items():
            told.append(trace.columns[name][t])
        return (trace.columns[name][t] for name in self.ids)

    def tensors(self, predictions: Sequence[Sequence[Any]]) -> dict[str, torch.Tensor]:
        """The columns as entries of a batch. `predictions`: for each prediction, its entries of columns of ids."""
        made = {f"column.{name}": self._tensor(name, told) for name, told in self.told.items()}
        ids = {
            f"ids.{name}": self._tensor(name, [entries[i] for entries in predictions])
            for i, name in enumerate(self.ids)
        }
        return made | ids

    def _tensor(self, name: str, entries: list[Any]) -> torch.Tensor:
        """[n] or [n, C], also if n is 0."""
        import torch

        example = torch.tensor(self.first.columns[name][0])
        dtype = torch.long if name in self.ids else torch.float32
        return torch.tensor(entries, dtype=dtype).view(len(entries), *example.shape)


def _is_ids(entry: Any) -> bool:
    return isinstance(entry[0] if isinstance(entry, tuple) else entry, int)
