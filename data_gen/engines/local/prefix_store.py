"""Records which token ids have stored keys and values, and in which columns of the pool: a radix tree, evicted leaf by
leaf.

Every edge holds a run of ids and one column for each. Any beginning of a stored sequence can be found. If it ends
inside a run, the run is split there. This file holds numbers only: column_pool.py holds the keys and values,
prefixes.py combines both.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence

import numpy as np

Ids = tuple[int, ...]


class PrefixNode:
    """A run of ids after its parent's path, e.g. the 12 tokens of one step. `length` counts the whole path."""

    __slots__ = ("alive", "children", "columns", "ids", "length", "owner", "parent", "pins", "queued", "used")

    def __init__(self, parent: PrefixNode | None, ids: Ids, columns: np.ndarray, owner: int | None) -> None:
        self.parent, self.ids, self.columns, self.owner = parent, ids, columns, owner
        self.children: dict[int, PrefixNode] = {}
        self.length: int = (parent.length if parent else 0) + len(ids)
        self.pins, self.used, self.queued, self.alive = 0, 0, False, True


class PrefixStore:
    """`capacity` columns shared by all stored prefixes. The least recently used leaf is evicted first. Pinned nodes and
    their paths are never evicted.

    >>> store = PrefixStore(8)
    >>> leaf, known, columns = store.extend(store.root(), (5, 6, 7))
    >>> known, columns.tolist()
    (0, [0, 1, 2])
    >>> store.find((5, 6, 9)).length
    2
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = self._room = capacity
        self._free = np.arange(capacity)[::-1].copy()
        self._roots: dict[int, PrefixNode] = {}
        self._queue: list[tuple[int, int, PrefixNode]] = []
        self._dead = 0  # queued nodes that were dropped since
        self._clock, self._ties = 0, itertools.count()
        self._owned: dict[int, list[PrefixNode]] = {}

    @property
    def stored(self) -> int:
        """Columns in use."""
        return self.capacity - self._room

    def root(self, group: int = 0) -> PrefixNode:
        """The empty prefix. Entries of one group are never found under another."""
        if group not in self._roots:
            self._roots[group] = PrefixNode(None, (), np.zeros(0, np.int64), None)
        return self._roots[group]

    def find(self, ids: Ids, group: int = 0) -> PrefixNode:
        """The node at the end of the longest stored beginning of `ids`. It counts as used now."""
        self._clock += 1
        return self._walk(self.root(group), ids)

    def extend(self, node: PrefixNode, ids: Ids, owner: int | None = None) -> tuple[PrefixNode, int, np.ndarray]:
        """Store `ids` after a node that is still stored, as many as there is room for. It evicts nothing, see
        `make_room`.

        Returns the last node, how many of `ids` were stored before, and the columns of the new ones.
        """
        start = node.length
        node = self._walk(node, ids)
        known = node.length - start
        new = ids[known : known + self._room]
        columns = self._free[self._room - len(new) : self._room][::-1].copy()
        if new:
            self._room -= len(new)
            parent, node = node, PrefixNode(node, new, columns, owner)
            parent.children[new[0]] = node
            node.used = self._clock
            self._offer(node)
            if owner is not None:
                self._owned.setdefault(owner, []).append(node)
        return node, known, columns

    def make_room(self, wanted: int) -> bool:
        """Evict until `wanted` columns are free. False if pinned entries leave fewer."""
        while self._room < wanted and self._queue:
            used, _, node = heapq.heappop(self._queue)
            node.queued = False
            self._dead -= not node.alive
            if node.used == used and _evictable(node):
                self._drop(node)
            else:
                self._offer(node)
        return self._room >= wanted

    def pin(self, node: PrefixNode) -> None:
        """Keep the node and its path until `unpin`."""
        node.pins += 1

    def unpin(self, node: PrefixNode) -> None:
        """Undo one `pin`."""
        node.pins -= 1
        self._offer(node)

    def columns(self, node: PrefixNode) -> np.ndarray:
        """The columns of the whole path, `[length]` int64."""
        runs = []
        while node.parent:
            runs.append(node.columns)
            node = node.parent
        return np.concatenate(runs[::-1]) if runs else np.zeros(0, np.int64)

    def trim(self, node: PrefixNode, length: int) -> None:
        """Drop the end of a path back to `length`, unless other entries depend on it."""
        while node.length > length and _evictable(node):
            parent = node.parent
            self._drop(node)
            assert parent is not None
            node = parent

    def release(self, owner: int) -> None:
        """Drop what an owner has stored. Entries that others have extended are dropped with the last of these."""
        for node in reversed(self._owned.pop(owner, [])):
            while self._ownerless(node) and _evictable(node):
                parent = node.parent
                self._drop(node)
                assert parent is not None
                node = parent

    def _ownerless(self, node: PrefixNode) -> bool:
        """Whether the node had an owner that has been released."""
        return node.owner is not None and node.owner not in self._owned

    def _walk(self, node: PrefixNode, ids: Ids) -> PrefixNode:
        at = 0
        while at < len(ids) and (child := node.children.get(ids[at])):
            if ids[at : at + len(child.ids)] != child.ids:
                child = self._split(child, _common(child.ids, ids[at:]))
            child.used = self._clock
            node, at = child, at + len(child.ids)
        return node

    def _split(self, node: PrefixNode, at: int) -> PrefixNode:
        """A new node takes the first `at` ids. The old one keeps the rest and all references to it."""
        assert node.parent is not None
        upper = PrefixNode(node.parent, node.ids[:at], node.columns[:at], node.owner)
        upper.used = node.used
        node.parent.children[node.ids[0]] = upper
        node.parent, node.ids, node.columns = upper, node.ids[at:], node.columns[at:]
        upper.children[node.ids[0]] = node
        if node.owner in self._owned:
            self._owned[node.owner].append(upper)
        return upper

    def _offer(self, node: PrefixNode) -> None:
        """Queue for eviction. A node is queued at most once. If it was used since, it is queued again when its turn
        comes."""
        if not node.queued and _evictable(node):
            node.queued = True
            heapq.heappush(self._queue, (node.used, next(self._ties), node))

    def _drop(self, node: PrefixNode) -> None:
        parent = node.parent
        assert parent is not None
        self._free[self._room : self._room + len(node.ids)] = node.columns[::-1]
        self._room += len(node.ids)
        del parent.children[node.ids[0]]
        node.alive = False
        self._dead += node.queued
        self._forget_dead()
        self._offer(parent)

    def _forget_dead(self) -> None:
        """Rebuild the queue when most of it is dead: owners that release in time leave nothing to evict, so nothing
        would pop the dead entries."""
        if 2 * self._dead > len(self._queue) > 64:
            self._queue = [entry for entry in self._queue if entry[2].alive]
            heapq.heapify(self._queue)
            self._dead = 0


def _evictable(node: PrefixNode) -> bool:
    return node.alive and node.parent is not None and not node.children and not node.pins


def _common(run: Sequence[int], ids: Sequence[int]) -> int:
    return next((i for i, (a, b) in enumerate(zip(run, ids, strict=False)) if a != b), min(len(run), len(ids)))
