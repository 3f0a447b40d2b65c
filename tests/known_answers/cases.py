"""How a case is written, and where those of each kind stand."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

Case = Callable[[], Any]
"""Gives the outcome: plain data of numbers, texts, lists and dicts."""

CASES: dict[tuple[str, str], Case] = {}
"""(kind, name) -> its case."""


def case(kind: str, *names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator for the case of one piece, `f()`, or of several pieces of a kind, `f(name)`."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            known = CASES.setdefault((kind, name), function if len(names) == 1 else lambda name=name: function(name))
            assert len(names) != 1 or known is function, f"{kind} {name} has two cases"
        return function

    return enter


def load_cases() -> dict[tuple[str, str], Case]:
    """All cases: every module `of_*.py` of this folder is imported."""
    import tests.known_answers as package

    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("of_"):
            importlib.import_module(f"{package.__name__}.{module.name}")
    return CASES
