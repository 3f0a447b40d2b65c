"""Plans as JSON: what a run's folder keeps and what the runner hands to its workers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_gen.errors import UserError
from reasoning_train.api.plan import Plan, StageNode
from reasoning_train.api.refs import Ref
from reasoning_train.store.state_files import Shape, read_json, write_json


class _Node(Shape):
    uses: str
    key: str
    config: dict[str, Any]
    asked: dict[str, Any]
    pieces: dict[str, list[Any]]


class _Plan(Shape):
    name: str
    path: str
    nodes: dict[str, _Node]


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """Plain data; a reference becomes `{"$ref": [node, output]}`."""
    return {**_fields(plan), "nodes": {name: _fields(node) for name, node in plan.nodes.items()}}


def plan_from_json(data: Mapping[str, Any]) -> Plan:
    """The inverse of `plan_to_json`."""
    return Plan(**{**data, "nodes": {name: _node(node) for name, node in data["nodes"].items()}})


def write_plan(path: Path, plan: Plan) -> None:
    """Write a plan to a JSON file."""
    write_json(path, plan_to_json(plan))


def read_plan(path: Path) -> Plan:
    """Read a plan that `write_plan` wrote. UserError if it is damaged."""
    plan = find_plan(path)
    if plan is None:
        raise UserError(f"{path} is damaged or gone. Run the recipe again, or name another run.")
    return plan


def find_plan(path: Path) -> Plan | None:
    """A plan that `write_plan` wrote; None if it is absent or damaged."""
    data = read_json(path, _Plan)
    try:
        return plan_from_json(data) if data is not None else None
    except (TypeError, ValueError, KeyError, AttributeError):  # a field of another version
        return None


def _fields(record: Any) -> dict[str, Any]:
    return {
        field.name: _encode(getattr(record, field.name))
        for field in dataclasses.fields(record)
        if field.name != "nodes"
    }


def _node(data: Mapping[str, Any]) -> StageNode:
    decoded = {"config": _decode(data["config"]), "asked": _decode(data["asked"])}
    pieces = {place: (name, version) for place, (name, version) in data["pieces"].items()}
    names = {name: tuple(data.get(name, ())) for name in ("inputs", "notes", "learned_from", "lessons")}
    return StageNode(**{**data, **decoded, **names, "pieces": pieces})


def _encode(value: Any) -> Any:
    if isinstance(value, Ref):
        return {"$ref": [value.node, value.output]}
    if isinstance(value, Mapping):
        return {key: _encode(item) for key, item in value.items()}
    return [_encode(item) for item in value] if isinstance(value, (list, tuple)) else value


def _decode(value: Any) -> Any:
    if isinstance(value, dict):
        return Ref(*value["$ref"]) if value.keys() == {"$ref"} else {key: _decode(item) for key, item in value.items()}
    return [_decode(item) for item in value] if isinstance(value, list) else value
