"""Skips a test where no sandbox holds: `make` installs the packages that a tier needs, but the kernel may refuse."""

from __future__ import annotations

import pytest

from data_gen.sandbox import tiers


def need_a_sandbox() -> None:
    """Skip, with what each tier lacks."""
    wrong = [f"{tier.name}: {tier.wrong}" for tier in tiers.probed() if tier.wrong]
    if len(wrong) == len(tiers.probed()):
        pytest.skip(f"no sandbox holds here: {'; '.join(wrong)}")
