"""What of a stage's items is whose."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reasoning_train.worker.context import share_of


@given(st.integers(0, 60), st.integers(1, 7), st.integers(1, 5))
def test_shares_are_what_dealing_gives(total: int, shards: int, group_size: int) -> None:
    dealt = [sum(order // group_size % shards == k for order in range(total)) for k in range(shards)]
    assert [share_of(total, (k, shards), group_size) for k in range(shards)] == dealt
