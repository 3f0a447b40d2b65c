"""The seed of a stage: the recipe's seed, that seed mixed with a value, or its own seed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any


class BadSeed(Exception):
    """An invalid seed; the message says what was expected. It is caught where the place in the recipe is known."""


def mixed(seed: int, *values: object) -> int:
    """A seed below 2^31 derived from a recipe's seed and values such as the round.

    >>> mixed(0, 2) != mixed(1, 2) != mixed(1, 3)
    True
    """
    text = "/".join([str(seed), *map(str, values)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) >> 1


def stage_seed(written: Any, seed: int, round_number: int) -> int:
    """The seed of a stage under the recipe's `seed`; `round_number` counts from 1 and is 0 outside rounds.

    None: the recipe's seed, mixed with the round from round 2 on, so that no round repeats the draws of round 1. Round
    1 shares its artifacts with the same stage outside rounds. `{mix: VALUE}` mixes one or more values into the recipe's
    seed. A number is the seed itself, under every seed of the recipe. BadSeed for anything else.
    """
    if written is None:
        return mixed(seed, round_number) if round_number > 1 else seed
    if isinstance(written, Mapping) and written.keys() == {"mix"}:
        return mixed(seed, *_values(written["mix"]))
    if isinstance(written, int) and not isinstance(written, bool) and 0 <= written < 2**63:
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
