"""Which random numbers a stage draws: the recipe's seed, that seed mixed with something, or a seed of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any


class BadSeed(Exception):
    """A written seed that is none; the message says what was expected. Caught where the place is known."""


def mixed(seed: int, *values: object) -> int:
    """A seed below 2^31 that derives from a recipe's seed and from values such as a round's number.

    >>> mixed(0, 2) != mixed(1, 2) != mixed(1, 3)
    True
    """
    text = "/".join([str(seed), *map(str, values)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) >> 1


def stage_seed(written: Any, seed: int, round_number: int) -> int:
    """The seed of a stage under the recipe's `seed`; `round_number` counts from 1 and is 0 outside rounds.

    Unwritten (None): the recipe's seed, from the second round on mixed with the round, so that no round repeats the
    draws of the first. The first round shares its artifacts with the same stage outside rounds. `{mix: VALUE}` mixes a
    value or several into the recipe's seed, and a number stands for itself under every seed of the recipe. BadSeed
    for anything else.
    """
    if written is None:
        return mixed(seed, round_number) if round_number > 1 else seed
    if isinstance(written, Mapping) and written.keys() == {"mix"}:
        return mixed(seed, *_values(written["mix"]))
    if isinstance(written, int) and not isinstance(written, bool) and written >= 0:
        return written
    raise BadSeed(
        f"expected a whole number from 0, got {written!r}. To draw other numbers in every round and under every seed "
        'of the recipe, mix a value into its seed: `seed: {mix: "${round}"}`.'
    )


def _values(written: Any) -> list[str | int | float]:
    values = written if isinstance(written, list) else [written]
    if not values or not all(isinstance(value, (str, int, float)) for value in values):
        raise BadSeed(f"mix: expected a number, a text or a list of them, got {written!r}.")
    return values
