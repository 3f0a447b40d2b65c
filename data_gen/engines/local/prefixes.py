"""Prefixes and their keys and values: stored ones are found, missing ones prefilled, sampled ones kept.

If equality is bitwise (`exact`), the origin of keys and values matters, not only their token ids. Those of a prompt
always come from one prefill forward, whose width its length decides. Those of the prompt's last token and of sampled
tokens come from the decode batch. So a prompt is found whole or not at all, under a group for its width, and decoded
tokens are stored under the complements of their ids. Evicted parts of a path are recomputed in the same way: the prompt
here, the rest by replaying it through the decode batch.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from data_gen.engines.local.column_pool import ColumnPool, Layers
from data_gen.engines.local.prefix_store import Ids, PrefixNode, PrefixStore
from data_gen.engines.local.slot_cache import BLOCK, LayerShape, SlotCache, round_up
from data_gen.models.context import context_length
from data_gen.models.windows import by_layer_type

PREFILL_TOKENS = 4096
"""Most padded tokens in one prefill forward."""


@dataclass(slots=True, eq=False)
class PrefixPath:
    """A prefix without its last token, which is the first decode step's input. A row needs its columns in its slot."""

    ids: Ids
    key: Ids
    """The ids under which the store knows them."""
    group: int
    prefilled: int
    """Number of columns that come from prefill. The others come from the decode batch."""
    owner: int | None
    node: PrefixNode
    """Its place in the store, pinned from `admit` to `drop`."""
    cached: int = 0
    """Number of columns that were cached at the request."""

    @property
    def missing(self) -> Ids:
        """Ids whose columns are not stored. After `admit` these are to be replayed."""
        return self.ids[self.node.length :]


class Decoded(NamedTuple):
    """What a row has computed after the first `start` columns of its path: the columns of `ids`, in its slot."""

    path: PrefixPath
    start: int
    ids: Ids
    slot: int


class Prefixes:
    """The store, its pool, and the model that fills them. `capacity` is raised to the model's context, so that any
    prefix fits."""

    def __init__(self, model: Any, shapes: Sequence[LayerShape], *, capacity: int, row_block: int, exact: bool) -> None:
        self.model, self.shapes, self.row_block, self.exact = model, shapes, row_block, exact
        capacity = max(capacity, context_length(model.config))
        self.store = PrefixStore(capacity)
        self.pool = ColumnPool(shapes, model.dtype, model.device, capacity)

    def path(self, prefix: Ids, prompt_length: int | None = None, owner: int | None = None) -> PrefixPath:
        """A prefix's path, not looked up yet. `prompt_length` as in `Request`."""
        ids = prefix[:-1]
        prompt = len(prefix) if prompt_length is None or not self.exact else prompt_length
        prefilled = min(len(ids), max(0, prompt - 1))
        group = round_up(prefilled) if self.exact else 0
        return PrefixPath(
            ids, ids[:prefilled] + self._decoded(ids[prefilled:]), group, prefilled, owner, self.store.root(group)
        )

    def admit(self, paths: Sequence[PrefixPath]) -> int:
        """Find and pin the paths and prefill the missing prefilled parts. Returns how many of them, in order, there is
        room for.

        That is at least one if nothing else is pinned.
        """
        pinned: list[PrefixPath] = []
        try:
            computed = self._find_all(paths, pinned)
            for batch in _batches(computed):
                self._prefill(batch)
        except BaseException:
            for path in pinned:
                self.drop(path)
            raise
        for path in pinned:
            if path.node.length < path.prefilled:  # another path had the same part to compute
                self.drop(path)
                self.find(path)
                path.cached = path.prefilled
        return len(pinned)

    def _find_all(self, paths: Sequence[PrefixPath], pinned: list[PrefixPath]) -> list[PrefixPath]:
        """Pin paths while there is room. Returns the paths to prefill, one of several with the same missing part."""
        computed: dict[tuple[int, Ids], PrefixPath] = {}
        wanted = 0
        for path in paths:
            part = (path.group, path.key[: path.prefilled])
            self.find(path)
            path.cached = path.node.length
            missing = 0 if part in computed else max(0, path.prefilled - path.node.length)
            if missing and not self.store.make_room(wanted + missing):
                self.drop(path)
                break
            if missing:
                computed[part] = path
            wanted += missing
            pinned.append(path)
        return list(computed.values())

    def find(self, path: PrefixPath) -> None:
        """Pin the longest useful stored beginning."""
        node = self.store.find(path.key, path.group)
        # Recomputing one block costs less than the mask that attending to it would need.
        if node.length < path.prefilled and (self.exact or node.length < BLOCK):
            node = self.store.root(path.group)
        path.node = node
        self.store.pin(node)

    def drop(self, path: PrefixPath) -> None:
        """Undo the pin of `admit` or `find`."""
        self.store.unpin(path.node)

    def load(self, paths: Sequence[PrefixPath], slots: Sequence[np.ndarray], cache: SlotCache) -> None:
        """Copy each path's columns to the start of every slot of its group of slots."""
        self.pool.load([self.store.columns(path.node) for path in paths], slots, cache)

    def keep(self, rows: Sequence[Decoded], cache: SlotCache) -> None:
        """Store what rows have computed, as far as there is room."""
        self.store.make_room(min(self.store.capacity, sum(len(row.ids) for row in rows)))
        copies = _Copies()
        for path, start, ids, slot in rows:
            # evicted meanwhile: the slot has all of it
            node = path.node if path.node.alive else self.store.root(path.group)
            self._extend(path, node, path.key[node.length : start] + self._decoded(ids), slot, copies)
        copies.into(self.pool, cache.layers)

    def scratch(self, paths: Sequence[PrefixPath], rows: int, columns: int) -> SlotCache:
        """Separate slots for one forward, each path at the start of its row."""
        cache = SlotCache(self.shapes, self.model.dtype, self.model.device)
        cache.reserve(rows, columns)
        self.load(paths, [np.array([row]) for row in range(len(paths))], cache)
        return cache

    def forget(self) -> None:
        """Drop everything that no row is waiting for."""
        self.store.make_room(self.store.capacity)

    def _decoded(self, ids: Ids) -> Ids:
        return tuple(~i for i in ids) if self.exact else ids

    def _prefill(self, batch: Sequence[PrefixPath]) -> None:
        starts = [path.node.length for path in batch]
        tokens = [path.ids[start : path.prefilled] for path, start in zip(batch, starts, strict=True)]
        ids = padded(tokens, round_up(len(batch), self.row_block)).to(self.model.device)
        layers = self._behind(batch, starts, ids) if any(starts) else self._causal(ids)
        copies = _Copies()
        for row, path in enumerate(batch):
            self.drop(path)
            path.node = self._extend(path, path.node, path.key[path.node.length : path.prefilled], row, copies)
            self.store.pin(path.node)
        copies.into(self.pool, layers)

    def _causal(self, ids: Tensor) -> Layers:
        """Causal attention keeps right padding out of every real position, so no mask is needed."""
        from transformers import DynamicCache

        cache = DynamicCache()
        context, width = context_length(self.model.config), ids.shape[1]
        inside = {"position_ids": torch.arange(width, device=ids.device).clamp_max(context - 1)[None]}
        self.model(
            input_ids=ids,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
            **(inside if width > context else {}),  # padding may pass the context, and with it learned positions
        )
        return [(layer.keys, layer.values) for layer in cache.layers]  # type: ignore[union-attr, misc]

    def _behind(self, batch: Sequence[PrefixPath], starts: Sequence[int], ids: Tensor) -> Layers:
        """Right padding fills columns behind every real one of its row."""
        rows, width = ids.shape
        cache = self.scratch(batch, rows, max(starts) + width)
        first = torch.zeros(rows, dtype=torch.int64)
        first[: len(starts)] = torch.tensor(starts)
        positions = (first[:, None] + torch.arange(width)).to(ids.device)
        columns = round_up(max(starts) + width)
        cache.aim(positions, columns)
        mask = causal_mask(self.model, positions, columns)
        self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return cache.layers

    def _extend(self, path: PrefixPath, node: PrefixNode, ids: Ids, row: int, copies: _Copies) -> PrefixNode:
        leaf, known, columns = self.store.extend(node, ids, path.owner)
        copies.add(row, node.length + known, columns)
        return leaf


class _Copies:
    """Runs of columns to be copied to the pool together."""

    def __init__(self) -> None:
        self._runs: list[tuple[int, int, np.ndarray]] = []

    def add(self, row: int, first: int, targets: np.ndarray) -> None:
        """Columns `first`, `first + 1`, ... of a row."""
        if len(targets):
            self._runs.append((row, first, targets))

    def into(self, pool: ColumnPool, layers: Layers) -> None:
        """Copy all."""
        if self._runs:
            rows, firsts, targets = zip(*self._runs, strict=True)
            counts = [len(run) for run in targets]
            columns = np.concatenate(
                [np.arange(first, first + count) for first, count in zip(firsts, counts, strict=True)]
            )
            pool.save(layers, np.repeat(rows, counts), columns, np.concatenate(targets))


def padded(tokens: Sequence[Sequence[int]], rows: int, block: int = BLOCK) -> Tensor:
    """Ids `[rows, width]`, zeros on the right; the width is a multiple of `block`."""
    ids = np.zeros((rows, round_up(max(map(len, tokens)), block)), np.int64)
    for row, run in enumerate(tokens):
        ids[row, : len(run)] = run
    return torch.from_numpy(ids)


def causal_mask(model: Any, positions: Tensor, columns: int) -> Any:
    """`attention_mask` for tokens at `positions [rows, tokens]` over a cache whose columns are positions."""
    return layer_masks(model, positions[:, :, None] - torch.arange(columns, device=positions.device))


def layer_masks(model: Any, far: Tensor, seen: Tensor | None = None) -> Any:
    """`attention_mask` of a forward pass over a cache, for every layer's window. `far [rows, tokens, columns]`: how
    many positions a column lies before the token; those behind it are never seen. `seen`: which others are, all if
    None."""
    seen = far >= 0 if seen is None else seen & (far >= 0)
    return by_layer_type(
        model.config, lambda window: additive_mask(seen if window is None else seen & (far < window), model.dtype)
    )


def additive_mask(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """`seen [rows, tokens, columns]` bool -> `[rows, 1, tokens, columns]`: 0 at seen positions, -inf elsewhere."""
    mask = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
    return mask.masked_fill_(~seen, float("-inf"))[:, None]


def _batches(paths: Iterable[PrefixPath]) -> Iterator[list[PrefixPath]]:
    """Paths grouped by similar length of the missing part, at most `PREFILL_TOKENS` per group. Paths with nothing
    before it are grouped separately."""

    def shape(path: PrefixPath) -> tuple[bool, int]:
        return path.node.length > 0, round_up(path.prefilled - path.node.length)

    for (_, width), group in itertools.groupby(sorted(paths, key=shape), key=shape):
        while batch := list(itertools.islice(group, max(1, PREFILL_TOKENS // width))):
            yield batch
