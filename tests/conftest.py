"""Fixtures that tests of several packages share."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

from tests.reasoning_train.bench import Bench

hypothesis.settings.register_profile("untimed", deadline=None)  # a busy machine is no bug
hypothesis.settings.load_profile("untimed")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An empty store and plan to add stages to."""
    return Bench(tmp_path / "store")


@pytest.fixture
def one_thread() -> None:
    """Bitwise results need one intra-op thread."""
    import torch

    torch.set_num_threads(1)
