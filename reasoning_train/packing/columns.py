"""Columns of traces in a batch: what losses read at each token beside its id, whatever the packing.

A column of ids is part of what makes a prediction: the log-probabilities of two teachers' tokens are two predictions
from one column of a packed tree. Other numbers stand with the tokens that they belong to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from reasoning_train.packing.rows import Trace

if TYPE_CHECKING:
    import torch


class Columns:
    """Collects, token by token, the columns that all traces of a batch have in which tokens carry weight.

    >>> trace = Trace((5, 9), (0.0, 1.0), columns={"ids": ((0, 0), (4, 7)), "p": (0.0, 0.5)})
    >>> columns = Columns([trace])
    >>> [*columns.read(trace, 1)], columns.told
    ([(4, 7)], {'ids': [(4, 7)], 'p': [0.5]})
    """

    def __init__(self, traces: Sequence[Trace]) -> None:
        """ValueError for a column that is not as long as its trace."""
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
        """By name, an entry for every token that carries weight."""

    def read(self, trace: Trace, t: int) -> Iterator[Any]:
        """Note what the columns say of token t, and give what those of ids say."""
        for name, told in self.told.items():
            told.append(trace.columns[name][t])
        return (trace.columns[name][t] for name in self.ids)

    def tensors(self, predictions: Sequence[Sequence[Any]]) -> dict[str, torch.Tensor]:
        """As entries of a batch; `predictions`: for each the entries of the columns of ids."""
        made = {f"column.{name}": self._tensor(name, told) for name, told in self.told.items()}
        ids = {
            f"ids.{name}": self._tensor(name, [entries[i] for entries in predictions])
            for i, name in enumerate(self.ids)
        }
        return made | ids

    def _tensor(self, name: str, entries: list[Any]) -> torch.Tensor:
        """[n] or [n, C], also where n is 0."""
        import torch

        example = torch.tensor(self.first.columns[name][0])
        dtype = torch.long if name in self.ids else torch.float32
        return torch.tensor(entries, dtype=dtype).view(len(entries), *example.shape)


def _is_ids(entry: Any) -> bool:
    return isinstance(entry[0] if isinstance(entry, tuple) else entry, int)
