"""Skips what needs a sandbox where none holds."""

from __future__ import annotations

import pytest

from data_gen.sandbox import tiers


@pytest.fixture(scope="session", autouse=True)
def _a_sandbox_holds() -> None:
    """`make` installs what a tier needs of packages; the kernel may still refuse namespaces."""
    wrong = [f"{tier.name}: {tier.wrong}" for tier in tiers.probed()]
    if all(tier.wrong for tier in tiers.probed()):
        pytest.skip(f"no sandbox holds here: {'; '.join(wrong)}")
