"""Grids: a stage, or a group of stages, repeated over the values of parameters.

`tuned: {uses: sft, ..., grid: {epochs: [1, 2]}}` makes the nodes `tuned.epochs=1` and `tuned.epochs=2`. A reference
names one by its value, `${stages.tuned[epochs=2]}`, or all of them, `${stages.tuned}`. A parameter is a field of the
stage, unless the stage reads it: `losses: [{uses: dpo, beta: "${grid.beta}"}], grid: {beta: [0.1, 0.3]}`.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reasoning_train.recipe import limits
from reasoning_train.recipe.errors import RecipeError
from reasoning_train.recipe.resolver.scope import Setting
from reasoning_train.recipe.resolver.text import BadReference
from reasoning_train.recipe.yaml_core import join, parse_value

_TEXT = re.compile(r"[A-Za-z0-9_.+-]+")
"""Characters allowed in the names of files and jobs."""


class BadGrid(Exception):
    """A grid is invalid: (where in the grid, what is wrong)."""


def settings(grid: Mapping[str, Any]) -> list[Setting]:
    """Every combination of the values; the last parameter changes fastest. BadGrid for values without a name."""
    named = [[(parameter, *one) for one in _values(parameter, written)] for parameter, written in grid.items()]
    if (number := math.prod(map(len, named))) > limits.SETTINGS:
        raise BadGrid("", f"makes {number:,} settings; expected at most {limits.SETTINGS:,}.")
    return [
        Setting(
            {parameter: value for parameter, _, value, _ in point},
            {parameter: text for parameter, text, _, _ in point},
            {parameter: source for parameter, _, _, source in point},
        )
        for point in itertools.product(*named)
    ]


def _values(parameter: str, written: Any) -> Iterator[tuple[str, Any, str]]:
    """(text, value, path in the grid) of each value of a parameter."""
    if not isinstance(written, (list, Mapping)) or not written:
        raise BadGrid(parameter, f"expected a list of values or a map of names to values, got {written!r}.")
    items = enumerate(written) if isinstance(written, list) else written.items()
    seen: set[str] = set()
    for key, value in items:
        text, place = str(key) if isinstance(written, Mapping) else value_text(value), join(parameter, str(key))
        if not _TEXT.fullmatch(text):
            raise BadGrid(place, f"{value!r} has no short name; give it one: `{parameter}: {{NAME: VALUE, ...}}`.")
        if text in seen:
            raise BadGrid(place, f"{text} is given twice.")
        seen.add(text)
        yield text, value, place


def value_text(value: Any) -> str:
    """A plain value as written in names: 0.1, 1e-05, true; empty for lists and maps.

    >>> value_text(0.1), value_text(True), value_text(None), value_text([1])
    ('0.1', 'true', 'null', '')
    """
    if isinstance(value, (list, Mapping)):
        return ""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def chosen(known: Sequence[Setting], selection: str, stage: str) -> list[Setting]:
    """The settings that `beta=0.3,lr=1e-4` selects. Omitted parameters may have any value. BadReference if there are
    none."""
    found = list(known)
    for pair in filter(None, selection.split(",")):
        parameter, equals, text = (part.strip() for part in pair.partition("="))
        if not equals or parameter not in known[0].texts:
            raise BadReference(
                f"[{selection}] is not a setting of the grid of {stage!r}; write [{known[0].name}], for example"
            )
        found = [setting for setting in found if _is(setting, parameter, text)]
    if not found:
        raise BadReference(f"{stage!r} has no [{selection}]; its grid has {'; '.join(one.name for one in known)}")
    return found


def _is(setting: Setting, parameter: str, text: str) -> bool:
    if setting.texts[parameter] == text:
        return True
    try:
        value = parse_value(text, "")
    except RecipeError:
        return False
    own = setting.values[parameter]
    return isinstance(value, (int, float)) and type(value) is not bool and type(own) in (int, float) and own == value


def placed(written: Any, values: Mapping[str, Any]) -> tuple[Any, set[str]]:
    """A stage with each `${grid.NAME}` replaced by the parameter's value, and the names of the parameters that it reads
    like this.

    >>> placed({"losses": [{"uses": "dpo", "beta": "${grid.beta}"}], "n": 2}, {"beta": 0.1, "n": 4})
    ({'losses': [{'uses': 'dpo', 'beta': 0.1}], 'n': 2}, {'beta'})
    """
    read: set[str] = set()

    def place(value: Any) -> Any:
        """The value with all references in it replaced."""
        if isinstance(value, Mapping):
            return {name: place(item) for name, item in value.items()}
        if isinstance(value, list):
            return [place(item) for item in value]
        if not isinstance(value, str):
            return value
        for name, own in values.items():
            reference = f"${{grid.{name}}}"
            if reference in value:
                read.add(name)
                if value == reference:
                    return own
                value = value.replace(reference, value_text(own))
        return value

    return place(written), read


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted parameters as maps inside maps, to be merged into a stage.

    >>> nested({"search.simulations": 8, "n": 2})
    {'search': {'simulations': 8}, 'n': 2}
    """
    result: dict[str, Any] = {}
    for field, value in values.items():
        *above, last = field.split(".")
        inside = result
        for name in above:
            inside = inside.setdefault(name, {})
        inside[last] = value
    return result
