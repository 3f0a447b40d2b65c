"""Differences of one instance of a stage from the stage as written: `first` and `vary` of rounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reasoning_train.recipe.yaml_core import join


class BadOverride(Exception):
    """An override is invalid: (path in the recipe, what is wrong)."""


def merged(below: Any, above: Any) -> Any:
    """Merge maps field by field, with `above` taking precedence. Other values, and a map that `uses` something else,
    replace the whole.

    >>> merged({"n": 4, "search": {"uses": "mcts", "simulations": 8}}, {"search": {"simulations": 16}})
    {'n': 4, 'search': {'uses': 'mcts', 'simulations': 16}}
    >>> merged({"scorer": {"uses": "joint", "clip": 1}}, {"scorer": {"uses": "constant"}})
    {'scorer': {'uses': 'constant'}}
    """
    if not isinstance(below, Mapping) or not isinstance(above, Mapping):
        return above
    if "uses" in above and above["uses"] != below.get("uses"):
        return above
    return {**below, **{name: merged(below.get(name), value) for name, value in above.items()}}


def value_of_round(vary: Any, k: int, rounds: int, place: str) -> Any:
    """`vary` with the k-th value in place of every list. BadOverride if there is no list, or it is too short.

    >>> value_of_round({"n": [4, 8], "search": {"simulations": [16, 32]}}, 2, 2, "")
    {'n': 8, 'search': {'simulations': 32}}
    """
    if isinstance(vary, Mapping):
        return {name: value_of_round(value, k, rounds, join(place, name)) for name, value in vary.items()}
    if not isinstance(vary, list) or len(vary) < rounds:
        raise BadOverride(place, f"expected a list with a value for each of the {rounds} rounds, got {vary!r}.")
    return vary[k - 1]


def leaves(changes: Any, place: str = "") -> Iterator[str]:
    """The dotted paths that a map of changes sets."""
    if isinstance(changes, Mapping) and changes:
        for name, value in changes.items():
            yield from leaves(value, join(place, name))
    else:
        yield place
