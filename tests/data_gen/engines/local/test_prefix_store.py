"""The radix tree against a plain dictionary of what was put in; eviction order; pins; owners."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.engines.local.prefix_store import PrefixNode, PrefixStore

ids = st.lists(st.integers(0, 2), max_size=9).map(tuple)
"""Three letters only, so that runs are shared and split all the time."""
actions = st.lists(
    st.tuples(st.sampled_from(["put", "pin", "unpin", "trim", "release"]), ids, st.integers(0, 3)), max_size=40
)


def _put(store: PrefixStore, ids: tuple[int, ...], owner: int | None = None, *, room: int | None = None) -> PrefixNode:
    """Store a sequence from the root, evicting for it."""
    store.find(ids)
    store.make_room(len(ids) if room is None else room)
    return store.extend(store.root(), ids, owner)[0]


class _Pool:
    """What a pool would hold: for each column the path up to its token."""

    def __init__(self, store: PrefixStore) -> None:
        self.store, self.held = store, {}

    def put(self, ids: tuple[int, ...], owner: int) -> None:
        start = self.store.find(ids)
        self.store.pin(start)
        self.store.make_room(len(ids) - start.length)
        leaf, known, columns = self.store.extend(start, ids[start.length :], owner)
        self.store.unpin(start)
        assert known == 0 and leaf.length == start.length + len(columns)
        for offset, column in enumerate(columns.tolist(), start.length + 1):
            self.held[column] = ids[:offset]

    def check(self, ids: tuple[int, ...]) -> int:
        node = self.store.find(ids)
        assert [self.held[c] for c in self.store.columns(node).tolist()] == [ids[:i] for i in range(1, node.length + 1)]
        return node.length


@settings(max_examples=150, deadline=None)
@given(actions, st.integers(9, 30))
def test_columns_always_hold_the_paths_that_lead_to_them(
    steps: list[tuple[str, tuple[int, ...], int]], capacity: int
) -> None:
    store = PrefixStore(capacity)
    pool, pinned = _Pool(store), []
    for action, ids, number in steps:
        if action == "put":
            pool.put(ids, number)
        elif action == "pin":
            node = store.find(ids)
            store.pin(node)
            pinned.append((ids, node, node.length))
        elif action == "unpin" and pinned:
            store.unpin(pinned.pop(number % len(pinned))[1])
        elif action == "trim":
            store.trim(store.find(ids), number)
        elif action == "release":
            store.release(number)
        pool.check(ids)
        for kept, node, length in pinned:
            assert node.alive and node.length == length
            assert pool.check(kept) >= length
        assert 0 <= store.stored <= capacity
    for _, node, _ in pinned:
        store.unpin(node)
    assert store.make_room(capacity) and store.stored == 0
    assert sorted(store.extend(store.root(), tuple(range(capacity)))[2].tolist()) == list(range(capacity))


def test_any_beginning_is_found_also_in_the_middle_of_a_run() -> None:
    store = PrefixStore(20)
    leaf = _put(store, (1, 2, 3, 4, 5))
    assert [store.find(ids).length for ids in [(1, 2, 3, 4, 5, 6), (1, 2, 3), (1, 2, 9), (9,), ()]] == [5, 3, 2, 0, 0]
    assert store.columns(leaf).tolist() == [0, 1, 2, 3, 4]
    assert store.stored == 5


def test_the_same_ids_are_stored_once() -> None:
    store = PrefixStore(20)
    _put(store, (1, 2, 3, 4))
    _, known, columns = store.extend(store.root(), (1, 2, 7))
    assert (known, len(columns), store.stored) == (2, 1, 5)


def test_groups_do_not_find_each_others_prefixes() -> None:
    store = PrefixStore(20)
    store.extend(store.root(1), (1, 2))
    assert store.find((1, 2), 2).length == 0
    assert store.find((1, 2), 1).length == 2


def test_the_least_recently_used_leaf_goes_first_and_its_parent_after_it() -> None:
    store = PrefixStore(6)
    for ids in [(1, 2), (3, 4), (5, 6)]:
        _put(store, ids)
    store.find((1, 2))
    _put(store, (7,), room=1)
    assert [store.find(ids).length for ids in [(1, 2), (3, 4), (5, 6), (7,)]] == [2, 0, 2, 1]
    _put(store, (1, 2, 8), room=1)
    assert store.find((1, 2, 8)).length == 3
    assert not store.make_room(7) and store.stored == 0


def test_pinned_paths_stay_and_extend_takes_what_is_left() -> None:
    store = PrefixStore(5)
    leaf = _put(store, (1, 2, 3))
    store.pin(leaf)
    assert store.make_room(2) and not store.make_room(3)
    leaf, known, columns = store.extend(store.root(), (4, 5, 6, 7))
    assert (leaf.ids, known, len(columns)) == ((4, 5), 0, 2)


def test_released_owners_leave_what_others_have_added_to() -> None:
    store = PrefixStore(30)
    _put(store, (1, 2, 3, 4), 0)
    _put(store, (1, 2, 5), 0)
    _put(store, (1, 2, 3, 4, 6), 1)
    store.release(0)
    assert [store.find(ids).length for ids in [(1, 2, 5), (1, 2, 3, 4, 6)]] == [2, 5]
    store.release(1)
    assert store.stored == 0  # the first owner's too, which only the second one kept


def test_what_owners_share_goes_with_the_last_of_them() -> None:
    """Prompts begin alike and their owners overlap in time: a shared beginning may outlive whoever stored it, but not
    all who use it."""
    store, live = PrefixStore(4096), 8
    most = 0
    for owner in range(2_000):
        store.extend(store.root(), (0, owner // 4, owner, 9), owner)
        store.extend(store.find((0, owner // 4, owner, 9)), (1, 2), owner)
        if owner >= live:
            store.release(owner - live)
        most = max(most, store.stored)
    assert most <= live * 6 + 6
    for owner in range(2_000 - live, 2_000):
        store.release(owner)
    assert store.stored == 0


def test_released_prefixes_are_forgotten() -> None:
    """Nothing is evicted where every owner releases in time; the queue for eviction must not keep what they had."""
    store = PrefixStore(64)
    for owner in range(1_000):
        for child in range(4):
            store.extend(store.root(), (owner, child, 7), owner)
        store.release(owner)
    alive = [node for _, _, node in store._queue if node.alive]
    assert store.stored == 0 and len(store._queue) <= 64 + 2 * len(alive)
    assert store.make_room(64)
