"""How a case is written, and where those of each kind stand."""

from __future__ import annotations

import importlib
import itertools
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.known_answers.rounding import rounded

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


class Settings(list[Any]):
    """The outcomes of several settings of one piece, of which each must show what the others do not."""


def alike(outcome: Any) -> Iterator[str]:
    """The settings with the same outcome: what tells them apart would go unnoticed."""
    if isinstance(outcome, Settings):
        for (i, one), (j, other) in itertools.combinations(enumerate(map(rounded, outcome)), 2):
            if one == other:
                yield f"{i} and {j}, {one}"
    if isinstance(outcome, (list, tuple, Mapping)):
        for item in outcome.values() if isinstance(outcome, Mapping) else outcome:
            yield from alike(item)


def load_cases() -> dict[tuple[str, str], Case]:
    """All cases: every module `of_*.py` of this folder is imported."""
    import tests.known_answers as package

    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("of_"):
            importlib.import_module(f"{package.__name__}.{module.name}")
    return CASES
