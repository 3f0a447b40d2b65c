"""Pydantic validation with readable messages: which field, which value, what was expected, the nearest known name."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from data_gen.errors import nearest
from reasoning_train.api.refs import UNKNOWN, Ref
from reasoning_train.recipe.errors import Problems, sentence
from reasoning_train.recipe.schema import NAME_PATTERN, NAME_RULE
from reasoning_train.recipe.yaml_core import join

M = TypeVar("M", bound=BaseModel)
_NUMBERS = (bool, int, float)


def validate(model: type[M], data: Mapping[str, Any], path: str, problems: Problems, owner: str = "") -> M | None:
    """`data` as `model`. None, with every problem noted under `path`, if it is invalid. `owner` says in messages whose
    fields these are."""
    try:
        made = model.model_validate(dict(data))
    except ValidationError as error:
        for problem in error.errors():
            if problem["input"] != UNKNOWN:  # that reference is noted already
                _note(model, data, problem, path, problems, owner)
        return None
    except RecursionError:
        problems.add(path, "nested too deeply.")
        return None
    return made if _sound(data, made, path, problems) else None


def _note(model: type[BaseModel], data: Any, problem: Any, path: str, problems: Problems, owner: str) -> None:
    here = _written_place(data, [str(part) for part in problem["loc"]])
    kind, value, place = problem["type"], show(problem["input"]), join(path, ".".join(here)) if here else path
    if kind == "extra_forbidden":
        problems.add(place, f"unknown key {here[-1]!r}{owner}.{nearest(here[-1], _fields_around(model, data, here))}")
    elif kind == "union_tag_invalid":
        known = [tag.strip("' ") for tag in problem["ctx"]["expected_tags"].split(",")]
        problems.add(
            join(place, "uses"), f"{problem['ctx']['tag']!r} is not known here.{nearest(problem['ctx']['tag'], known)}"
        )
    elif kind == "union_tag_not_found":
        problems.add(join(place, "uses"), "'uses' is missing; name one.")
    elif kind == "missing":
        problems.add(place, f"{here[-1]!r}{owner} is missing; give it a value.")
    elif kind == "value_error":
        problems.add(place, sentence(problem["msg"].removeprefix("Value error, ")))
    elif kind == "string_pattern_mismatch" and problem["ctx"]["pattern"] == NAME_PATTERN:
        problems.add(place, f"expected {NAME_RULE}, got {value}.")
    elif kind == "too_long":
        most, got = problem["ctx"]["max_length"], problem["ctx"]["actual_length"]
        problems.add(place, f"expected at most {most:,} values, got {got or len(problem['input']):,}.")
    else:
        problems.add(place, f"{_expected(problem['msg'])}, got {value}.")


def _expected(message: str) -> str:
    """Pydantic's message in our words."""
    expected = message.replace("Input should be ", "expected ").replace("Input should ", "should ")
    expected = expected.replace("a valid tuple", "a list").replace("a valid ", "a ").replace("a integer", "an integer")
    return expected.replace("dictionary", "map").partition(", unable to parse ")[0].partition(" or instance of ")[0]


def show(value: Any) -> str:
    """A value as the recipe would write it; long values are cut."""
    text = f"${{{value}}}" if isinstance(value, Ref) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _written_place(data: Any, loc: list[str]) -> list[str]:
    """Pydantic's location without its names for union members: `until.Until.greedy` -> `until.greedy`."""
    kept: list[str] = []
    for i, part in enumerate(loc):
        if isinstance(data, Mapping) and part in data:
            data = data[part]
        elif isinstance(data, list) and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        elif i < len(loc) - 1 or part == "[key]" or not isinstance(data, Mapping):
            continue
        kept.append(part)
    return kept


def _fields_around(model: type[BaseModel], data: Any, loc: list[str]) -> list[str]:
    """Field names of the model that holds the last part of `loc`. If several models are possible, `uses` decides."""
    types: list[Any] = [model]
    for part in loc[:-1]:
        types = [inner for tp in types for inner in _step(tp, part)]
        data = data[int(part)] if isinstance(data, list) else data.get(part, {})
    models = [tp for tp in types if _is_model(tp)]
    named = [tp for tp in models if isinstance(data, Mapping) and data.get("uses") in _tags(tp)]
    return list(dict.fromkeys(name for tp in named or models for name in tp.model_fields))


def _tags(model: type[BaseModel]) -> tuple[Any, ...]:
    field = model.model_fields.get("uses")
    return get_args(field.annotation) if field else ()


def _step(tp: Any, part: str) -> Iterator[Any]:
    """The types that a part of a location may have inside `tp`."""
    if _is_model(tp):
        if part in tp.model_fields:
            yield from members(tp.model_fields[part].annotation)
    else:
        for argument in get_args(tp)[-1:] if get_origin(tp) is dict else get_args(tp):
            yield from members(argument)


def members(tp: Any) -> Iterator[Any]:
    """The alternatives of a type, with unions and Annotated unpacked."""
    if get_origin(tp) is Annotated:
        yield from members(get_args(tp)[0])
    elif get_origin(tp) in (Union, UnionType):
        for argument in get_args(tp):
            yield from members(argument)
    else:
        yield tp


def _is_model(tp: Any) -> bool:
    return isinstance(tp, type) and issubclass(tp, BaseModel)


def plain(value: Any, files: Mapping[Path, str] = MappingProxyType({})) -> Any:
    """A validated config as plain data: defaults are filled in, references are kept, and paths become the text that
    `files` gives for them."""
    if isinstance(value, BaseModel):
        return {name: plain(getattr(value, name), files) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {str(key): plain(item, files) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, files) for item in value]
    if isinstance(value, Path):
        return files.get(value, str(value))
    # A string enum is a str too, but not every reader of the plan accepts it.
    return str(value) if isinstance(value, str) else value


def _sound(written: Any, made: Any, path: str, problems: Problems) -> bool:
    """Whether every number is finite and no value changed its type. Pydantic reads "8" as 8 and true as 1; in a recipe
    that is probably a mistake, so it is noted as a problem."""
    if isinstance(made, BaseModel):
        made = {name: getattr(made, name) for name in type(made).model_fields}
    if isinstance(written, Mapping) and isinstance(made, Mapping):
        return all([_sound(item, made[key], join(path, key), problems) for key, item in written.items() if key in made])
    if isinstance(written, list) and isinstance(made, (list, tuple)) and len(written) == len(made):
        return all(
            [
                _sound(old, new, join(path, str(i)), problems)
                for i, (old, new) in enumerate(zip(written, made, strict=True))
            ]
        )
    if isinstance(made, _NUMBERS) and (isinstance(written, str) or isinstance(written, bool) != isinstance(made, bool)):
        problems.add(path, f"expected {_type_name(made)}, got {written!r}.")
        return False
    if isinstance(made, float) and not math.isfinite(made):
        problems.add(path, f"expected a finite number, got {written!r}.")
        return False
    if isinstance(made, int) and not -(2**63) <= made < 2**63:
        problems.add(path, f"expected a whole number of at most 64 bits, got {show(written)}.")
        return False
    return True


def _type_name(value: Any) -> str:
    return "true or false" if isinstance(value, bool) else "a number"
