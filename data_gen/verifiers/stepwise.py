"""Computes values piece by piece: a step is read over the stored keys and values of its prefix, never as a whole path
again.

A search needs the value of every node. Read as whole paths, a tree of depth d costs about d / 2 times its tokens. Here
each piece of a reading (the prompt, then the tokens of each node) is computed once over the pieces before it, in a
forward of its own whose width its length decides. Pieces are identified by their ids and their width, so evicted ones
are recomputed in the same way: values are bitwise independent of batching and caching, on a CPU with one thread.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_gen.engines.local.column_pool import ColumnPool, Layers
from data_gen.engines.local.owners import Owners
from data_gen.engines.local.prefix_store import Ids, PrefixNode, PrefixStore
from data_gen.engines.local.prefixes import causal_mask, padded
from data_gen.engines.local.slot_cache import SlotCache, column_bytes, exact_columns, layer_shapes, round_up
from data_gen.models.context import context_length
from data_gen.models.windows import layer_windows, odd_layers
from data_gen.verifiers.checkpoint import Verifier
from data_gen.verifiers.forward import LOGITS, ROW_BLOCK, TOKENS, head_values
from data_gen.verifiers.reading import Readout

FAMILIES = frozenset({"llama", "mistral", "qwen2", "qwen3"})
"""Model types known to read keys and values from a cache like ours. Others are read in whole forwards."""
CPU_BYTES = 1 << 28
"""Memory for keys and values on a CPU. On a GPU it is a quarter of what is free."""
FIRST_BLOCK, NEXT_BLOCK = 32, 8
"""Widths of first and of later pieces are multiples of these."""


def can_read_stepwise(backbone: Any) -> bool:
    """Whether a backbone attends to everything before a token, through a cache of ours."""
    config = backbone.config
    if config.model_type not in FAMILIES or odd_layers(config):
        return False
    context = context_length(config)
    return all(window is None or window >= context for window in layer_windows(config).values())


@dataclass(slots=True, eq=False)
class _Walk:
    """A reading in progress. Its first `done` pieces end at `node`, which is pinned."""

    reading: Readout
    pieces: list[Ids]
    """The ids under which the store knows them."""
    owner: int | None
    node: PrefixNode
    done: int = 0


@dataclass(slots=True, eq=False)
class _Piece:
    """The next piece of some walks that are at one node."""

    node: PrefixNode
    ids: Ids
    key: Ids
    walks: list[_Walk]

    @property
    def width(self) -> int:
        return round_up(len(self.ids), NEXT_BLOCK if self.node.length else FIRST_BLOCK)


class Stepwise:
    """Reads with one verifier. `capacity` is the number of tokens whose keys and values are kept (at least the
    context)."""

    def __init__(self, verifier: Verifier, *, capacity: int | None = None) -> None:
        self.verifier = verifier
        backbone = verifier.backbone
        self._shapes = layer_shapes(backbone)
        kept = capacity or _memory(backbone.device) // column_bytes(self._shapes, backbone.dtype)
        self._capacity = max(kept, verifier.context + FIRST_BLOCK)
        self._store = PrefixStore(self._capacity)
        self._pool = ColumnPool(self._shapes, backbone.dtype, backbone.device, self._capacity)
        self._values = np.zeros(self._capacity)  # of the token in each column
        self._owners = Owners()

    @torch.inference_mode()
    def values(self, readings: Sequence[Readout]) -> list[tuple[float, ...]]:
        """One value per position of each reading, on the head's scale."""
        for owner in self._owners.gone():
            self._store.release(owner)
        waiting, found = deque(self._walk(reading) for reading in readings), list[tuple[float, ...]]()
        while waiting:
            walks = self._admit(waiting)
            try:
                while pieces := _next_pieces(walks):
                    for batch in self._batches(pieces):
                        self._read(batch)
                found += [tuple(self._values[self._store.columns(w.node)[list(w.reading.at)]].tolist()) for w in walks]
            finally:
                for walk in walks:
                    self._store.unpin(walk.node)
        return found

    def _walk(self, reading: Readout) -> _Walk:
        cuts = (0, *reading.cuts)
        pieces = [
            _known_as(reading.ids[a:b], FIRST_BLOCK if a == 0 else NEXT_BLOCK) for a, b in itertools.pairwise(cuts)
        ]
        return _Walk(reading, pieces, self._owners.number(reading.owner), self._store.root())

    def _admit(self, waiting: deque[_Walk]) -> list[_Walk]:
        """As many walks as there is room for, at least one, each at the end of its last stored piece."""
        walks: list[_Walk] = []
        wanted = 0
        while waiting:
            walk = waiting[0]
            self._find(walk)
            missing = len(walk.reading.ids) - walk.node.length
            if not self._store.make_room(wanted + missing) and walks:
                self._store.unpin(walk.node)
                break
            wanted += missing
            walks.append(waiting.popleft())
        return walks

    def _find(self, walk: _Walk) -> None:
        key = tuple(itertools.chain.from_iterable(walk.pieces))
        stored = self._store.find(key).length
        ends = list(itertools.accumulate(map(len, walk.pieces)))
        walk.done = sum(end <= stored for end in ends)
        walk.node = self._store.find(key[: ends[walk.done - 1] if walk.done else 0])
        self._store.pin(walk.node)

    def _batches(self, pieces: Iterable[_Piece]) -> Iterator[list[_Piece]]:
        """Pieces of similar width that fit the memory. First pieces are grouped separately."""

        def shape(piece: _Piece) -> tuple[bool, int]:
            return piece.node.length > 0, piece.width

        tokens = (
            TOKENS
            if self.verifier.head.config.kind != "from_vocab"
            else min(TOKENS, LOGITS // self.verifier.head.width)
        )
        for (_, width), group in itertools.groupby(sorted(pieces, key=shape), key=shape):
            similar = sorted(group, key=lambda piece: piece.node.length)
            while similar:
                columns = self._columns(similar[-1].node.length + width)
                most = max(ROW_BLOCK, min(tokens // width, self._capacity // 4 // columns) // ROW_BLOCK * ROW_BLOCK)
                yield similar[-most:]
                del similar[-most:]

    def _read(self, batch: Sequence[_Piece]) -> None:
        """Compute pieces, store them and move their walks past them."""
        rows = round_up(len(batch), ROW_BLOCK) if self._exact else len(batch)
        ids = padded([piece.ids for piece in batch], rows, batch[0].width).to(self.verifier.backbone.device)
        states, layers, starts = self._behind(batch, ids) if batch[0].node.length else self._causal(batch, ids)
        values = iter(
            head_values(
                self.verifier.head, torch.cat([states[row, : len(piece.ids)] for row, piece in enumerate(batch)])
            )
        )
        kept: list[tuple[int, np.ndarray, np.ndarray]] = []
        for row, piece in enumerate(batch):
            own = list(itertools.islice(values, len(piece.ids)))
            leaf, known, columns = self._store.extend(piece.node, piece.key, piece.walks[0].owner)
            self._values[columns] = own[known:]
            kept.append((row, starts[row] + np.arange(known, len(own)), columns))
            for walk in piece.walks:
                self._store.pin(leaf)
                self._store.unpin(walk.node)
                walk.node, walk.done = leaf, walk.done + 1
        rows_of = np.concatenate([np.full(len(targets), row) for row, _, targets in kept])
        self._pool.save(
            layers, rows_of, *(np.concatenate(runs) for runs in zip(*(run[1:] for run in kept), strict=True))
        )

    def _causal(self, batch: Sequence[_Piece], ids: Tensor) -> tuple[Tensor, Layers, np.ndarray]:
        """First pieces: causal attention keeps right padding out of every real position, so no mask is needed."""
        from transformers import DynamicCache

        cache = DynamicCache()
        states = self._states(input_ids=ids, past_key_values=cache)
        return states, [(layer.keys, layer.values) for layer in cache.layers], np.zeros(len(batch), np.int64)  # type: ignore[union-attr, misc]

    def _behind(self, batch: Sequence[_Piece], ids: Tensor) -> tuple[Tensor, Layers, np.ndarray]:
        """Later pieces, each after its node's columns. Padding fills columns behind every real one of its row."""
        rows, width = ids.shape
        starts = np.zeros(rows, np.int64)
        starts[: len(batch)] = [piece.node.length for piece in batch]
        columns, backbone = self._columns(int(starts.max()) + width), self.verifier.backbone
        cache = SlotCache(self._shapes, backbone.dtype, backbone.device)
        cache.reserve(rows, columns)
        slots: dict[PrefixNode, list[int]] = {}
        for row, piece in enumerate(batch):
            slots.setdefault(piece.node, []).append(row)
        self._pool.load(
            [self._store.columns(node) for node in slots], [np.array(group) for group in slots.values()], cache
        )
        positions = torch.from_numpy(starts[:, None] + np.arange(width)).to(ids.device)
        cache.aim(positions, columns)
        mask = causal_mask(backbone, positions, columns)
        states = self._states(input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache)
        return states, cache.layers, starts

    def _states(self, **inputs: Any) -> Tensor:
        output = self.verifier.backbone(**inputs, use_cache=True)
        return output.logits if self.verifier.head.config.kind == "from_vocab" else output.last_hidden_state

    @property
    def _exact(self) -> bool:
        return self.verifier.backbone.device.type == "cpu" and torch.get_num_threads() == 1

    def _columns(self, n: int) -> int:
        return exact_columns(n) if self._exact else round_up(n)


def _next_pieces(walks: Sequence[_Walk]) -> list[_Piece]:
    """The next pieces, once for all walks that need the same one. Empty when all have arrived."""
    pieces: dict[tuple[PrefixNode, Ids], _Piece] = {}
    for walk in walks:
        if walk.done < len(walk.pieces):
            key, start = walk.pieces[walk.done], walk.node.length
            piece = pieces.setdefault(
                (walk.node, key), _Piece(walk.node, walk.reading.ids[start : start + len(key)], key, [])
            )
            piece.walks.append(walk)
    return list(pieces.values())


def _known_as(ids: Ids, block: int) -> Ids:
    """A piece's ids with its width: pieces with equal keys were computed in forwards of one shape."""
    tag = round_up(len(ids), block) << 32
    return tuple(tag + token for token in ids)


def _memory(device: torch.device) -> int:
    return torch.cuda.mem_get_info(device)[0] // 4 if device.type == "cuda" else CPU_BYTES
