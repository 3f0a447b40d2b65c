"""The JSON Schema of recipes, for editors, made from the models: `python -m reasoning_train.recipe.json_schema` writes
it.

The first line of a recipe enables it: `# yaml-language-server: $schema=../../configs/recipe.schema.json`.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from data_gen.tasks import TASKS
from reasoning_train.api.checkout import CHECKOUT
from reasoning_train.api.stage import STAGES
from reasoning_train.recipe.likes import LIKE
from reasoning_train.recipe.schema import Recipe

FILE = CHECKOUT / "configs" / "recipe.schema.json"
_REFERENCE = {"$ref": "#/$defs/reference"}
_PLAIN = ("Recipe", "Stage", "MixedSeed", "Rounds", "Choice", "Stop", "GridChoice", "Grid", "Resources")
"""The recipe's own models, which are validated before references are resolved."""
_IMPLICIT = ("task_format", "vocabulary")
"""Fields of the `model` stage that the loader fills in."""


def recipe_json_schema() -> dict[str, Any]:
    """A schema of draft 2020-12. `uses` selects the stage or task; a reference is allowed in place of any value."""
    stages = {name: STAGES.get(name).config for name in STAGES.names()}
    tasks = {name: TASKS.get(name) for name in TASKS.names()}
    defs, name_of = _definitions([*stages.values(), *tasks.values(), Recipe])
    common = _without(defs["Stage"], ["uses"])["properties"]
    for name, config in stages.items():
        defs[f"stage:{name}"] = _used(name, defs[name_of[config]], common)
    for name, task in tasks.items():
        defs[f"task:{name}"] = _used(name, defs[name_of[task]], {})
    defs["Stage"] = _or_like(_by_uses("stage", stages))
    defs["task"] = _by_uses("task", tasks)
    defs["Task"] = {"$ref": "#/$defs/task"}  # their base class; a `problems` stage accepts any task
    defs["model"] = _without(defs[name_of[stages["model"]]], _IMPLICIT) if "model" in stages else {"type": "object"}
    defs["reference"] = {
        "type": "string",
        "pattern": r"\$\{.+\}",
        "description": "a reference such as ${stages.base} or ${task.steps}",
    }
    whole = _recipe(defs.pop("Recipe"))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole, "$defs": _reachable(whole, defs)}


def _definitions(models: Iterable[type[BaseModel]]) -> tuple[dict[str, Any], dict[type[BaseModel], str]]:
    """Definitions of the models and of everything in them, and the name of each model's definition."""
    places, schema = models_json_schema([(model, "validation") for model in dict.fromkeys(models)])
    name_of: dict[Any, str] = {model: place["$ref"].removeprefix("#/$defs/") for (model, _), place in places.items()}
    defs: dict[str, Any] = schema["$defs"]
    for model in _with_parts(name_of):
        name = name_of.get(model, model.__name__)
        if name in defs:
            _describe(model, defs[name])
    return {name: schema if name in _PLAIN else _open(schema) for name, schema in defs.items()}, name_of


def _with_parts(models: Iterable[type[BaseModel]]) -> set[type[BaseModel]]:
    """The models and the models in their fields, in lists and maps, too."""
    found: set[type[BaseModel]] = set()
    waiting: list[Any] = list(models)
    while waiting:
        tp = waiting.pop()
        if inner := get_args(tp):
            waiting += inner
        elif isinstance(tp, type) and issubclass(tp, BaseModel) and tp not in found:
            found.add(tp)
            waiting += [field.annotation for field in tp.model_fields.values()]
    return found


def _describe(model: type[BaseModel], schema: dict[str, Any]) -> None:
    """Use the string below each field of a model as its description."""
    for name, text in field_docs(model).items():
        if name in schema.get("properties", {}):
            schema["properties"][name] = {**schema["properties"][name], "description": text}


def field_docs(model: type[BaseModel]) -> dict[str, str]:
    """Field -> the string below it in the source, base classes included."""
    docs: dict[str, str] = {}
    for cls in reversed([base for base in model.__mro__ if issubclass(base, BaseModel) and base is not BaseModel]):
        [body] = [
            node.body
            for node in ast.parse(textwrap.dedent(inspect.getsource(cls))).body
            if isinstance(node, ast.ClassDef)
        ]
        for field, below in itertools.pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
                docs[field.target.id] = inspect.cleandoc(ast.literal_eval(below.value))
    return docs


def _open(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema whose values may also be references."""
    properties = {name: _or_reference(value) for name, value in schema.get("properties", {}).items()}
    return {**schema, "properties": properties} if properties else schema


def _or_reference(schema: Mapping[str, Any]) -> dict[str, Any]:
    notes = {key: schema[key] for key in ("title", "description", "default") if key in schema}
    rest = {key: value for key, value in schema.items() if key not in notes}
    for key in ("items", "additionalProperties"):
        if isinstance(rest.get(key), dict):
            rest[key] = _or_reference(rest[key])
    if rest.get("type") == "string" and "enum" not in rest:
        return {**notes, **rest}
    return {**notes, "anyOf": [*rest["anyOf"], _REFERENCE] if rest.keys() == {"anyOf"} else [rest, _REFERENCE]}


def _used(name: str, schema: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    properties = {"uses": {"const": name}, **{k: v for k, v in schema["properties"].items() if k != "uses"}, **more}
    required = list(dict.fromkeys(["uses", *schema.get("required", [])]))
    return {**schema, "properties": properties, "required": required, "additionalProperties": False}


def _by_uses(prefix: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """One if-then per name, so that an editor reports only problems with the fields of the name in use."""
    branches = [
        {
            "if": {"properties": {"uses": {"const": name}}, "required": ["uses"]},
            "then": {"$ref": f"#/$defs/{prefix}:{name}"},
        }
        for name in known
    ]
    return {"type": "object", "required": ["uses"], "properties": {"uses": {"enum": sorted(known)}}, "allOf": branches}


def _or_like(schema: dict[str, Any]) -> dict[str, Any]:
    """A stage that is `like` another, or merges one by `<<`, also has the fields of the other, which only the loader
    can check."""
    taken = {"anyOf": [{"required": [LIKE]}, {"required": ["<<"]}]}
    like = {"type": "string", "description": "a stage whose fields this one has, but for those that it writes itself"}
    uses = schema["properties"]["uses"]
    whole = {key: value for key, value in schema.items() if key not in ("type", "properties")}
    return {"type": "object", "properties": {"uses": uses, LIKE: like}, "if": taken, "then": True, "else": whole}


def _or_included(task: dict[str, Any]) -> dict[str, Any]:
    """A task that includes files has fields of theirs, which only the loader can check."""
    files = {"type": "array", "items": {"type": "string"}, "description": "files whose `task` this one starts from"}
    included = {"type": "object", "properties": {"include": files}}
    return {"if": {"required": ["include"]}, "then": included, "else": task}


def _without(schema: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {**schema, "properties": {key: value for key, value in schema["properties"].items() if key not in names}}


def _recipe(schema: dict[str, Any]) -> dict[str, Any]:
    """The top level. Includes may provide the required fields, so nothing is required here."""
    task = {"$ref": "#/$defs/task"}
    places: dict[str, dict[str, Any]] = {
        "task": task,
        "tasks": {"type": "object", "additionalProperties": _or_included(task)},
        "model": {"$ref": "#/$defs/model"},
    }
    properties = {
        name: {**_note(value), **places[name]} if name in places else value
        for name, value in schema["properties"].items()
    }
    return {**{k: v for k, v in schema.items() if k != "required"}, "properties": properties}


def _note(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": schema["description"]} if "description" in schema else {}


def _reachable(start: Any, defs: Mapping[str, Any]) -> dict[str, Any]:
    """The definitions reachable from `start`, sorted by name."""
    found: set[str] = set()
    waiting = list(_refs(start))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _refs(defs[name])
    return {name: defs[name] for name in sorted(found)}


def _refs(schema: Any) -> list[str]:
    if isinstance(schema, Mapping):
        own = [schema["$ref"].removeprefix("#/$defs/")] if isinstance(schema.get("$ref"), str) else []
        return own + [name for value in schema.values() for name in _refs(value)]
    return [name for value in schema for name in _refs(value)] if isinstance(schema, list) else []


def schema_text() -> str:
    """The file's content."""
    return json.dumps(recipe_json_schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(schema_text(), encoding="utf-8")
