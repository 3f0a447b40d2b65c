"""Log-probabilities of given continuations. Many of one prefix share a row, over the prefix's stored keys and
values."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_gen.engines.base import Usage
from data_gen.engines.local.prefixes import Prefixes, PrefixPath, layer_masks, padded
from data_gen.engines.local.slot_cache import round_up

SCORE_LOGITS = 1 << 25
"""Most logits (rows x width x vocabulary) of one forward: 128 MiB in float32."""
PACKED_TOKENS = 128
"""Continuations share a row up to this width. Beyond it, the masked attention costs more than copying the prefix
again."""
WIDTH_BLOCK = 8
"""Widths come in multiples of this."""

Call = tuple[tuple[int, ...], Sequence[Sequence[int]]]
"""A prefix and its continuations."""


@dataclass(frozen=True, slots=True)
class _Row:
    """The prefix's last token followed by continuations that do not see each other, each without its last token."""

    call: int
    path: PrefixPath
    last_id: int
    members: list[tuple[int, Sequence[int]]]
    """(index of the continuation in the call, its ids)"""

    @property
    def ids(self) -> list[int]:
        return [self.last_id, *itertools.chain.from_iterable(ids[:-1] for _, ids in self.members)]


class ContinuationScorer:
    """Scores calls over the prefixes of a store. With `prefixes.exact` each row holds one continuation, so scores are
    bitwise independent of the batch."""

    def __init__(self, model: Any, prefixes: Prefixes, usage: Usage, columns: int) -> None:
        self.model, self.prefixes, self.usage, self.columns = model, prefixes, usage, columns
        self.vocabulary: int = model.config.get_text_config(decoder=True).vocab_size

    @torch.inference_mode()
    def score(self, calls: Sequence[Call]) -> list[list[list[float]]]:
        """The scores of the first calls, as many as the store has room for. Per call: one list per continuation, one
        number per token."""
        paths = [self.prefixes.path(prefix) for prefix, _ in calls]
        paths = paths[: self.prefixes.admit(paths)]
        self.usage.cached_tokens += sum(path.cached for path in paths)
        scores: list[list[list[float]]] = [[[] for _ in continuations] for _, continuations in calls[: len(paths)]]
        try:
            for batch, width in self._batches(self._rows(calls, paths)):
                self._forward(batch, width, scores)
        finally:
            for path in paths:
                self.prefixes.drop(path)
            for path in paths:
                self.prefixes.store.trim(path.node, path.cached)  # a prefix that was only scored is not continued
        return scores

    def _rows(self, calls: Sequence[Call], paths: Sequence[PrefixPath]) -> list[_Row]:
        rows = []
        for number, ((prefix, continuations), path) in enumerate(zip(calls, paths, strict=False)):
            row, width = _Row(number, path, prefix[-1], []), 1
            for member in enumerate(continuations):
                if not member[1]:
                    continue
                if row.members and (self.prefixes.exact or width + len(member[1]) - 1 > PACKED_TOKENS):
                    rows.append(row)
                    row, width = _Row(number, path, prefix[-1], []), 1
                row.members.append(member)
                width += len(member[1]) - 1
            if row.members:
                rows.append(row)
        return rows

    def _batches(self, rows: list[_Row]) -> Iterator[tuple[list[_Row], int]]:
        """Rows of similar width, as many as fit the memory for logits and copied prefixes. Exact scoring also groups by
        columns."""

        def shape(row: _Row) -> tuple[int, int]:
            width = round_up(len(row.ids), WIDTH_BLOCK)
            return width, round_up(len(row.path.ids) + width) if self.prefixes.exact else 0

        for (width, _), group in itertools.groupby(sorted(rows, key=shape), key=shape):
            similar = sorted(group, key=lambda row: len(row.path.ids))
            while similar:
                columns = round_up(len(similar[-1].path.ids) + width)
                most = max(1, min(SCORE_LOGITS // (width * self.vocabulary), self.columns // columns))
                yield similar[-most:], width
                del similar[-most:]

    def _forward(self, batch: Sequence[_Row], width: int, scores: list[list[list[float]]]) -> None:
        rows = round_up(len(batch), self.prefixes.row_block)
        ids = padded([row.ids for row in batch], rows, WIDTH_BLOCK).to(self.model.device)
        starts = np.zeros((rows, 1), np.int64)
        starts[: len(batch), 0] = [len(row.path.ids) for row in batch]
        segments, offsets = _layout(batch, rows, width)
        columns = round_up(int(starts.max()) + width)
        cache = self.prefixes.scratch([row.path for row in batch], rows, columns)
        cache.aim(self._tensor(starts + np.arange(width)), columns)
        positions = self._tensor(starts + offsets)
        seen = _seen(self._tensor(starts), self._tensor(segments), columns)
        mask = layer_masks(self.model, _distances(self._tensor(starts), positions, columns), seen)
        logits = self.model(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
        ).logits
        _collect(logits.float().log_softmax(-1), batch, scores)

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.model.device)


def _layout(batch: Sequence[_Row], rows: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Each token's segment (0: the prefix's last token and padding, 1..: continuations) and its distance from the
    prefix's last token, `[rows, width]`."""
    segments, offsets = np.zeros((rows, width), np.int64), np.zeros((rows, width), np.int64)
    for number, row in enumerate(batch):
        at = 1
        for segment, (_, ids) in enumerate(row.members, 1):
            end = at + len(ids) - 1
            segments[number, at:end], offsets[number, at:end] = segment, np.arange(1, len(ids))
            at = end
    return segments, offsets


def _seen(starts: Tensor, segments: Tensor, columns: int) -> Tensor:
    """Each token sees the prefix, the prefix's last token, and its own segment up to itself: `[rows, width, columns]`
    bool."""
    rows, width = segments.shape
    column = torch.arange(columns, device=starts.device)
    seen = (column < starts)[:, None].expand(rows, width, columns).clone()
    order = torch.arange(width, device=starts.device)
    fed = (order[:, None] >= order) & ((segments[:, :, None] == segments[:, None]) | (order == 0))
    index = (starts + order)[:, None].expand(rows, width, width)
    return seen.scatter_(2, index, fed)


def _distances(starts: Tensor, positions: Tensor, columns: int) -> Tensor:
    """How many positions each column lies before each token, `[rows, width, columns]`. Behind the prefix, columns hold
    the tokens themselves."""
    rows, width = positions.shape
    places = torch.arange(columns, device=starts.device).repeat(rows, 1)
    places.scatter_(1, starts + torch.arange(width, device=starts.device), positions)
    return positions[:, :, None] - places[:, None]


def _collect(logprobs: Tensor, batch: Sequence[_Row], scores: list[list[list[float]]]) -> None:
    """Each token's log-probability is read at the token before it; for the first one of a continuation, at the prefix's
    last token."""
    rows: list[int] = []
    at: list[int] = []
    tokens: list[int] = []
    for number, row in enumerate(batch):
        place = 1
        for _, ids in row.members:
            rows += [number] * len(ids)
            at += [0, *range(place, place + len(ids) - 1)]
            tokens += ids
            place += len(ids) - 1
    found = iter(logprobs[rows, at, tokens].tolist())
    for row in batch:
        for which, ids in row.members:
            scores[row.call][which] = list(itertools.islice(found, len(ids)))
