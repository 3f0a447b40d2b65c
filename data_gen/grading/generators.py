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


def settings_at(name: str, level: int) -> dict[str, Any]:
    """The settings of a generator at a level of its own curriculum. A dial with fewer levels stays at its last one.

    Raises:
        UserError: For a generator without a curriculum, or a level that none of its dials has.
    """
    from reasoning_gym.factory import create_curriculum, has_curriculum

    generator(name, json.dumps({"size": 1}))  # an unknown name is told as for every generator
    if not has_curriculum(name):
        raise UserError(f"task.level: the generator {name!r} has no curriculum. Set its dials through task.config.")
    curriculum = create_curriculum(name)
    most = max((len(dial.levels) - 1 for dial in curriculum.attributes.values()), default=0)
    if level > most:
        raise UserError(f"task.level: the generator {name!r} has the levels 0 to {most}, got {level}.")
    curriculum.set_global_level(level)
    made, dials = vars(curriculum.generate_configuration()), curriculum.attributes.values()
    roles = ("field_name", "lower_field_name", "upper_field_name")
    names = [getattr(dial, role) for dial in dials for role in roles if hasattr(dial, role)]
    return {name: made[name] for name in names}


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
