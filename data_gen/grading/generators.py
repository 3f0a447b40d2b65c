"""Generators of the reasoning-gym library by name, for tasks and graders, and their entries as JSON."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from data_gen.errors import UserError, nearest


@cache
def generator(name: str, config: str) -> Any:
    """A dataset of reasoning-gym; made once, since some load word lists.

    Args:
        name: The library's name of the dataset, e.g. `chain_sum`.
        config: Its settings as a JSON object, `seed` and `size` among them.

    Raises:
        UserError: For an unknown name or refused settings.
    """
    import reasoning_gym
    from reasoning_gym.factory import DATASETS

    if name not in DATASETS:
        raise UserError(f"task.generator: reasoning-gym has no generator {name!r}.{nearest(name, DATASETS)}")
    try:
        return reasoning_gym.create_dataset(name, **json.loads(config))
    except (TypeError, ValueError, AssertionError) as error:
        raise UserError(f"task.config: the generator {name!r} refuses {config}: {error}.") from None


def pack(value: Any) -> Any:
    """A value in a form that JSON preserves: tuples and mappings with non-text keys are tagged."""
    if isinstance(value, tuple):
        return {"__tuple__": [pack(v) for v in value]}
    if isinstance(value, list):
        return [pack(v) for v in value]
    if isinstance(value, dict):
        if all(isinstance(k, str) for k in value):
            return {k: pack(v) for k, v in value.items()}
        return {"__items__": [[pack(k), pack(v)] for k, v in value.items()]}
    return value


def unpack(value: Any) -> Any:
    """The value that `pack` was given."""
    if isinstance(value, list):
        return [unpack(v) for v in value]
    if not isinstance(value, dict):
        return value
    if "__tuple__" in value:
        return tuple(unpack(v) for v in value["__tuple__"])
    if "__items__" in value:
        return {unpack(k): unpack(v) for k, v in value["__items__"]}
    return {k: unpack(v) for k, v in value.items()}
