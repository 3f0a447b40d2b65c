"""Which rows form a step, and how a step is cut into forward passes."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning_train.packing.plan import Packing, in_order, micro_batches, mix_steps, pack, plan_steps, spend_tokens
from reasoning_train.packing.rows import Row, Trace


def rows(lengths: list[int]) -> list[Row]:
    return [Row((Trace(ids=(i,) * n, weights=(1.0,) * n),)) for i, n in enumerate(lengths)]


def single(n: int) -> list[list[int]]:
    return [[i] for i in range(n)]


@given(st.integers(1, 30), st.integers(1, 12), st.integers(1, 8), st.integers(0, 3))
def test_every_epoch_is_a_permutation_and_no_step_is_short(n: int, batch: int, steps: int, seed: int) -> None:
    plan = plan_steps(single(n), batch, epochs=None, max_steps=steps, seed=seed)
    assert [len(step) for step in plan] == [batch] * steps
    order = [i for step in plan for i in step]
    for start in range(0, len(order) - n + 1, n):
        assert sorted(order[start : start + n]) == list(range(n))


def test_epochs_give_the_nearest_number_of_steps() -> None:
    assert len(plan_steps(single(100), 32, epochs=2, max_steps=None, seed=0)) == 6
    assert len(plan_steps(single(3), 32, epochs=None, max_steps=None, seed=0)) == 1
    assert len(plan_steps(single(64), 32, epochs=5, max_steps=3, seed=0)) == 3


@given(
    st.lists(st.tuples(st.integers(1, 9), st.floats(0.1, 5)), min_size=2, max_size=4),
    st.integers(1, 8),
    st.integers(0, 3),
)
def test_sources_have_their_shares_of_the_rows_so_far(sources: list[tuple[int, float]], batch: int, seed: int) -> None:
    starts = [sum(n for n, _ in sources[:s]) for s in range(len(sources) + 1)]
    groups = [[[i] for i in range(starts[s], starts[s + 1])] for s in range(len(sources))]
    plan = mix_steps(groups, [share for _, share in sources], batch, epochs=None, max_steps=12, seed=seed)
    assert [len(step) for step in plan] == [batch] * 12
    order, total = [i for step in plan for i in step], sum(share for _, share in sources)
    for s, (n, share) in enumerate(sources):
        drawn = 0
        for seen, i in enumerate(order, 1):
            drawn += starts[s] <= i < starts[s + 1]
            assert abs(drawn - seen * share / total) < len(sources)
        own = [i for i in order if starts[s] <= i < starts[s + 1]]
        for start in range(0, len(own) - n + 1, n):
            assert sorted(own[start : start + n]) == list(range(starts[s], starts[s + 1]))


@given(
    st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=9).filter(any), min_size=1, max_size=3),
    st.integers(1, 6),
    st.integers(1, 300),
    st.integers(0, 3),
)
def test_a_token_budget_is_met_to_within_half_a_row_and_is_a_part_of_the_plain_plan(
    sources: list[list[int]], batch: int, most: int, seed: int
) -> None:
    tokens = [n for source in sources for n in source]
    starts = [sum(map(len, sources[:s])) for s in range(len(sources))]
    groups = [[[start + i] for i in range(len(source))] for start, source in zip(starts, sources, strict=True)]
    shares = [1.0] * len(sources)
    plan = spend_tokens(groups, shares, batch, tokens=tokens, most=most, seed=seed)
    spent = [i for step in plan for i in step]
    plain = mix_steps(groups, shares, batch, epochs=None, max_steps=len(plan) + 1, seed=seed)
    assert spent == [i for step in plain for i in step][: len(spent)]
    assert all(len(step) == batch for step in plan[:-1])
    assert len(spent) == 1 or abs(sum(tokens[i] for i in spent) - most) <= max(tokens) / 2


def test_one_source_is_the_plain_plan_and_epochs_count_all_rows() -> None:
    assert mix_steps([single(50)], [7.0], 8, epochs=2, max_steps=None, seed=1) == plan_steps(
        single(50), 8, epochs=2, max_steps=None, seed=1
    )
    assert (
        len(mix_steps([single(50), [[50 + i] for i in range(14)]], [1.0, 1.0], 8, epochs=2, max_steps=None, seed=1))
        == 16
    )
    assert in_order(5, 2) == [[0, 1], [2, 3], [4]]


def test_the_plan_is_seeded_and_longer_plans_begin_alike() -> None:
    first = plan_steps(single(50), 8, epochs=None, max_steps=10, seed=1)
    assert first == plan_steps(single(50), 8, epochs=None, max_steps=20, seed=1)[:10]
    assert first != plan_steps(single(50), 8, epochs=None, max_steps=10, seed=2)


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=25),
    st.sampled_from(["none", "sequence", "tree"]),
    st.integers(1, 60),
    st.integers(1, 120),
)
def test_micro_batches_hold_every_row_once_within_the_tokens(
    lengths: list[int], packing: Packing, capacity: int, tokens: int
) -> None:
    made = rows(lengths)
    groups = micro_batches(made, packing=packing, capacity=capacity, tokens=tokens)
    assert Counter(row for group in groups for pack in group for row in pack) == Counter(made)
    for group in groups:
        widths = [sum(row.tokens for row in pack) for pack in group]
        assert max(widths) * len(group) <= tokens or len(group) == 1
        assert max(widths) <= max(capacity, *lengths, 0)
        assert packing != "none" or all(len(pack) == 1 for pack in group)


def test_rows_of_a_group_stay_together() -> None:
    plan = plan_steps([[0, 1, 2], [3, 4, 5]], 3, epochs=4, max_steps=None, seed=0)
    assert [set(step) in ({0, 1, 2}, {3, 4, 5}) for step in plan] == [True] * 8


def test_a_tree_that_is_too_large_is_cut_at_its_rows() -> None:
    def leaf(last: int) -> Row:
        return Row((Trace((1, 2, 3, 4, last), (1.0,) * 5),), group="a")

    [[first], [second]] = micro_batches([leaf(n) for n in range(4)], packing="tree", capacity=4, tokens=6)
    assert [row.traces[0].ids[-1] for row in first] == [0, 1]
    assert [row.traces[0].ids[-1] for row in second] == [2, 3]


@given(st.lists(st.integers(1, 40), max_size=40), st.integers(40, 90))
def test_pack_places_every_row_once_within_capacity(lengths: list[int], capacity: int) -> None:
    packs = pack(lengths, capacity)
    assert sorted(i for indices in packs for i in indices) == list(range(len(lengths)))
    assert all(0 < sum(lengths[i] for i in indices) <= capacity for indices in packs)
    # First fit: no two packs could be one.
    sizes = sorted(sum(lengths[i] for i in indices) for indices in packs)
    assert len(sizes) < 2 or sizes[0] + sizes[1] > capacity


def test_pack_by_hand_and_its_refusal() -> None:
    assert pack([4, 6, 3, 6, 1], 10) == [[1, 0], [3, 2, 4]]
    with pytest.raises(ValueError, match="row 1 has 11 tokens, more than the capacity of 10"):
        pack([3, 11], 10)
