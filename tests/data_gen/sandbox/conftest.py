"""All tests of the sandbox need one that holds."""

from __future__ import annotations

import pytest

from tests.needs_sandbox import need_a_sandbox


@pytest.fixture(scope="session", autouse=True)
def _a_sandbox_holds() -> None:
    need_a_sandbox()
