"""The examples of docstrings, run: an example that nobody runs is soon one of another function."""

from __future__ import annotations

import doctest
import importlib

import pytest

from tests.test_imports import sources

TEXTS = {name: path.read_text(encoding="utf-8") for name, path in sources().items()}
SHOWN = sorted(name for name, text in TEXTS.items() if ">>> " in text and "# doctest: +SKIP" not in text)
"""Engines show what needs a model or a server; those say `+SKIP`."""


@pytest.mark.parametrize("module", SHOWN)
def test_the_examples_of_a_module(module: str) -> None:
    found = doctest.testmod(importlib.import_module(module))
    assert found.attempted > 0 and found.failed == 0
