"""How large a recipe may be. A recipe beyond these bounds is a mistake or an attack: it is refused with a message, in
time that grows only with the size of its files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reasoning_train.recipe.errors import RecipeError

FILE_BYTES = 8 * 2**20
NESTING = 64
"""Levels of lists and maps inside each other, aliases followed."""
VALUES = 250_000
"""Values of a recipe with its includes, aliases and merges written out."""
DIGITS = 300
"""Digits of a number. A float has at most 309 before its point."""
INCLUDES = 256
"""Files named by `include`, each as often as it is named."""
SEEDS = 1_000
SETTINGS = 10_000
"""Settings of a grid."""
ROUNDS = 250
STAGES = 20_000
"""Stages with all rounds, settings and seeds."""
WRITTEN = 2_000_000
"""Values of all these stages."""
LINKS = 24
"""References that lead to each other."""
TEXT = 100_000
"""Characters of a text once its references are filled in."""


class Count:
    """Counts what a recipe holds; beyond `limit`, `add` raises a RecipeError that says "more than N `what`"."""

    def __init__(self, limit: int, what: str) -> None:
        self._limit, self._what, self.found = limit, what, 0

    def add(self, number: int, place: Callable[[], str]) -> None:
        """Count some more, found at a place."""
        self.found += number
        if self.found > self._limit:
            raise RecipeError(f"{place()}: more than {self._limit:,} {self._what}.")


def values() -> Count:
    """The values of a recipe."""
    return Count(VALUES, "values, with includes, aliases (`*name`) and merges (`<<`) written out; use fewer of them")


def size(value: Any, most: int) -> int:
    """The number of values inside a value, and itself; a hundred characters of text count as one more. Above `most`,
    any number above it."""
    number, waiting = 0, [value]
    while waiting and number <= most:
        one = waiting.pop()
        number += 1 + (len(one) // 100 if isinstance(one, str) else 0)
        waiting += one.values() if isinstance(one, Mapping) else one if isinstance(one, list) else ()
    return number
