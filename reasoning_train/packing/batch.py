"""Packed rows as the tensors of one forward pass, in one form for padded traces, sequence packing and tree packing.

Predictions are listed, not shifted: where a run branches, its last column predicts the first token of every branch.
B, T: packed rows and columns; `at`-tensors index the flattened [B * T].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from reasoning_train.packing.ancestry import ancestry
from reasoning_train.packing.columns import TraceColumns
from reasoning_train.packing.forest import Forest, grow
from reasoning_train.packing.rows import Row

if TYPE_CHECKING:
    import torch

Batch = dict[str, "torch.Tensor"]


class Attention(Protocol):
    """The part of `tree_attention.ForestAttention` that collation needs."""

    def tensors(self, forests: Sequence[Forest], width: int) -> Batch:
        """The attention's tensors for a batch of packed rows of `width` columns."""


def collate(
    packs: Sequence[Sequence[Row]], pad_id: int, *, share: bool = False, attention: Attention | None = None
) -> Batch:
    """Tensors of one forward pass over packs of rows.

    `attention`: the forest attention of the model; its tensors replace `visible`.

    `input_ids`, `position_ids` [B, T] int64; `visible` [B, 1, T, T] bool: True = may attend;
    `predict_at`, `predict_label` [U]: the distinct predictions; `token` [P]: index of the prediction for each weighted
    token of all traces, with `token_weight` and `token_trace`; `read_at` [R]: the distinct positions where values are
    read; `value` [V]: index into them for each value of all traces, with `value_target`, `value_weight`, `value_trace`;
    `trace_row` [N]: the row of each trace; `row_weight`, `row_smoothing` [K]; `trace_reference`, `trace_rank` [N]: NaN
    if a row has none; `column.NAME` [P] or [P, C]: a column of the traces; `ids.NAME` [U, C]: also, if it holds ids.
    Masks go by column, never by comparing ids, so pad may equal eos.
    """
    import torch

    forests = [grow([trace for row in rows for trace in row.traces], share=share) for rows in packs]
    width = max(forest.width for forest in forests)
    ids, positions = torch.full((len(packs), width), pad_id), torch.zeros((len(packs), width), dtype=torch.long)
    for b, forest in enumerate(forests):
        for run in forest.runs:
            end = run.start + len(run.ids)
            ids[b, run.start : end] = torch.tensor(run.ids)
            positions[b, run.start : end] = torch.arange(run.depth, run.depth + len(run.ids))
    seen = (
        attention.tensors(forests, width) if attention else {"visible": ancestry(forests, width).pairs(None)[:, None]}
    )
    return {"input_ids": ids, "position_ids": positions, **seen, **_learnt(packs, forests, width), **_of_rows(packs)}


class _Unique:
    """Numbers keys in order of appearance."""

    def __init__(self) -> None:
        self.known: dict[tuple[Any, ...], int] = {}

    def __call__(self, key: tuple[Any, ...]) -> int:
        return self.known.setdefault(key, len(self.known))


def _learnt(packs: Sequence[Sequence[Row]], forests: Sequence[Forest], width: int) -> Batch:
    import torch

    predictions, readings, n = _Unique(), _Unique(), 0
    tokens: list[tuple[int, float, int]] = []
    values: list[tuple[int, float, float, int]] = []
    told = TraceColumns([trace for rows in packs for row in rows for trace in row.traces])
    for b, (rows, forest) in enumerate(zip(packs, forests, strict=True)):
        for trace, columns in zip((trace for row in rows for trace in row.traces), forest.columns, strict=True):
            for t in range(1, len(trace)):
                if trace.weights[t]:
                    key = (b * width + columns[t - 1], trace.ids[t], *told.read(trace, t))
                    tokens.append((predictions(key), trace.weights[t], n))
            targets, weights = (
                trace.targets or (float("nan"),) * len(trace.at),
                trace.target_weights or (1.0,) * len(trace.at),
            )
            for t, target, weight in zip(trace.at, targets, weights, strict=True):
                values.append((readings((b * width + columns[t], 0)), target, weight, n))
            n += 1
    token, token_weight, token_trace = _columns(tokens, 3)
    value, value_target, value_weight, value_trace = _columns(values, 4)
    return {
        "predict_at": torch.tensor([key[0] for key in predictions.known], dtype=torch.long),
        "predict_label": torch.tensor([key[1] for key in predictions.known], dtype=torch.long),
        "token": token.long(),
        "token_weight": token_weight.float(),
        "token_trace": token_trace.long(),
        "read_at": torch.tensor([at for at, _ in readings.known], dtype=torch.long),
        "value": value.long(),
        "value_target": value_target.float(),
        "value_weight": value_weight.float(),
        "value_trace": value_trace.long(),
        **told.tensors([key[2:] for key in predictions.known]),
    }


def _columns(entries: Sequence[tuple[float, ...]], n: int) -> list[torch.Tensor]:
    import torch

    return [torch.tensor([entry[i] for entry in entries], dtype=torch.float64) for i in range(n)]


def _of_rows(packs: Sequence[Sequence[Row]]) -> Batch:
    import torch

    rows = [row for pack in packs for row in pack]
    nan = float("nan")

    def each(values: tuple[float, ...], row: Row) -> Sequence[float]:
        return values or [nan] * len(row.traces)

    return {
        "trace_row": torch.tensor([k for k, row in enumerate(rows) for _ in row.traces], dtype=torch.long),
        "trace_reference": torch.tensor([x for row in rows for x in each(row.reference, row)], dtype=torch.float32),
        "trace_rank": torch.tensor([x for row in rows for x in each(row.ranks, row)], dtype=torch.float32),
        "row_weight": torch.tensor([row.weight for row in rows], dtype=torch.float32),
        "row_smoothing": torch.tensor([row.smoothing for row in rows], dtype=torch.float32),
    }


def silenced(batch: Batch) -> Batch:
    """The same pass with all weights 0, for ranks that would otherwise miss a collective call."""
    import torch

    weights = ("token_weight", "value_weight", "row_weight")
    return {name: torch.zeros_like(tensor) if name in weights else tensor for name, tensor in batch.items()}
