"""Which rows form a step, and how a step is cut into forward passes."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from reasoning_train.packing.sequence import TrainRow
from reasoning_train.trainers.step_plan import micro_batches, plan_steps


def rows(lengths: list[int]) -> list[TrainRow]:
    return [TrainRow(ids=(i,) * n, weights=(1.0,) * n) for i, n in enumerate(lengths)]


@given(st.integers(1, 30), st.integers(1, 12), st.integers(1, 8), st.integers(0, 3))
def test_every_epoch_is_a_permutation_and_no_step_is_short(n: int, batch: int, steps: int, seed: int) -> None:
    plan = plan_steps(n, batch, epochs=None, max_steps=steps, seed=seed)
    assert [len(step) for step in plan] == [batch] * steps
    order = [i for step in plan for i in step]
    for start in range(0, len(order) - n + 1, n):
        assert sorted(order[start : start + n]) == list(range(n))


def test_epochs_give_the_nearest_number_of_steps() -> None:
    assert len(plan_steps(100, 32, epochs=2, max_steps=None, seed=0)) == 6
    assert len(plan_steps(3, 32, epochs=None, max_steps=None, seed=0)) == 1
    assert len(plan_steps(64, 32, epochs=5, max_steps=3, seed=0)) == 3


def test_the_plan_is_seeded_and_longer_plans_begin_alike() -> None:
    first = plan_steps(50, 8, epochs=None, max_steps=10, seed=1)
    assert first == plan_steps(50, 8, epochs=None, max_steps=20, seed=1)[:10]
    assert first != plan_steps(50, 8, epochs=None, max_steps=10, seed=2)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=25), st.booleans(), st.integers(1, 60), st.integers(1, 120))
def test_micro_batches_hold_every_row_once_within_the_tokens(lengths: list[int], packing: bool, capacity: int, tokens: int) -> None:
    made = rows(lengths)
    groups = micro_batches(made, packing=packing, capacity=capacity, tokens=tokens)
    assert Counter(row for group in groups for pack in group for row in pack) == Counter(made)
    for group in groups:
        widths = [sum(len(row.ids) for row in pack) for pack in group]
        assert max(widths) * len(group) <= tokens or len(group) == 1
        assert max(widths) <= max(capacity, *lengths, 0)
        assert packing or all(len(pack) == 1 for pack in group)
