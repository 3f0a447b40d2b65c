"""What most tests of stages begin with."""

from __future__ import annotations

import pytest

from tests.reasoning_train.bench import Bench


@pytest.fixture
def kitchen(bench: Bench, one_thread: None) -> Bench:
    """A bench with a fresh policy, `model`."""
    bench.model()
    return bench
