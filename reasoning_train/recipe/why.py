"""`why`: which field, file or input gives a stage a different key from an earlier artifact."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reasoning_train.api.plan import Plan, StageNode
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import STAGES
from reasoning_train.recipe.validate import show
from reasoning_train.recipe.yaml_core import join

Find = Callable[[str, str], Mapping[str, Any] | None]
"""(uses, key) -> the manifest of an artifact in the store."""


def explain(node: StageNode, plan: Plan, manifest: Mapping[str, Any], find: Find = lambda uses, key: None) -> list[str]:
    """One line per difference between `node` and the earlier artifact of `manifest`; [] if there is none.

    If an input is a different artifact, its own differences follow, as far as `find` knows its earlier manifest. Their
    lines are indented and name the stage.
    """
    lines = [*_versions(node, manifest), *_pieces(node, manifest), *_seeds(node, manifest)]
    files = manifest["files"]
    before, after = _leaves(manifest["asked"], files, plan), _leaves(node.asked, node.files, plan)
    # Values at their defaults are not in the key, but are shown to the reader.
    then, now = _leaves(manifest["config"], files, plan), _leaves(node.config, node.files, plan)
    changed = [field for field in dict.fromkeys([*before, *after]) if _differs(before, after, field)]
    for field in changed:
        if not any(other.startswith(f"{field}.") for other in changed):
            shown = then.get(field, before.get(field)), now.get(field, after.get(field))
            lines += _field(field, *shown, plan, find)
    lines += _gates(node, plan, manifest)
    moved = ", ".join(f"`{field}`" for field in changed if field not in before or field not in after)
    if moved and not lines:
        lines.append(f"{moved}: the same value, but it was the default before or is the default now")
    return lines


def _differs(before: Mapping[str, Any], after: Mapping[str, Any], field: str) -> bool:
    missing = object()
    one, other = before.get(field, missing), after.get(field, missing)
    return one != other or type(one) is not type(other)


@dataclass(frozen=True, slots=True)
class _Input:
    """A reference, then or now."""

    node: str
    key: str
    output: str | None


@dataclass(frozen=True, slots=True)
class _File:
    """A leaf file, identified by its bytes and not by its path."""

    path: str
    sha256: str


def _leaves(value: Any, files: Mapping[str, str], plan: Plan, place: str = "") -> dict[str, Any]:
    """Dotted path -> scalar, _Input or _File, from the config of a node or a manifest."""
    if isinstance(value, Ref):
        return {place: _Input(value.node, plan.nodes[value.node].key, value.output)}
    if isinstance(value, Mapping) and value.keys() == {"node", "output", "key"}:
        return {place: _Input(value["node"], value["key"], value["output"])}
    if isinstance(value, str) and value in files:
        return {place: _File(value, files[value])}
    if isinstance(value, Mapping) and value:
        return {
            k: v for name, item in value.items() for k, v in _leaves(item, files, plan, join(place, str(name))).items()
        }
    if isinstance(value, (list, tuple)) and value:
        return {
            k: v for i, item in enumerate(value) for k, v in _leaves(item, files, plan, join(place, str(i))).items()
        }
    return {place: value}


def _field(field: str, before: Any, after: Any, plan: Plan, find: Find) -> list[str]:
    if isinstance(before, _Input) and isinstance(after, _Input):
        return _input(field, before, after, plan, find)
    if isinstance(before, _File) and isinstance(after, _File):
        changed = before.sha256 != after.sha256
        return (
            [f"`{field}`: the bytes of {after.path} changed, sha256 {before.sha256[:12]} -> {after.sha256[:12]}"]
            if changed
            else []
        )
    if before == after and type(before) is type(after):
        return []
    return [f"`{field}`: {_show(before)} -> {_show(after)}"]


def _show(value: Any) -> str:
    if value is None:
        return "nothing"
    return (
        f"${{{value.node}}}" if isinstance(value, _Input) else value.path if isinstance(value, _File) else show(value)
    )


def _input(field: str, before: _Input, after: _Input, plan: Plan, find: Find) -> list[str]:
    made = plan.nodes[after.node]
    if before.key == after.key:
        main = STAGES.get(made.uses).main
        same = (before.output or main) == (after.output or main)
        return (
            []
            if same
            else [f"input `{field}`: output {before.output or main!r} -> {after.output or main!r} of {after.node}"]
        )
    lines = [f"input `{field}` ({after.node}) is another artifact, key {before.key[:12]} -> {after.key[:12]}"]
    earlier = find(made.uses, before.key)
    nested = explain(made, plan, earlier, find) if earlier else []
    return lines + [line if line.startswith("  ") else f"  {after.node}: {line}" for line in nested]


def _versions(node: StageNode, manifest: Mapping[str, Any]) -> Iterator[str]:
    if node.version != manifest["version"]:
        yield f"version of stage type {node.uses!r}: {manifest['version']} -> {node.version}"


def _pieces(node: StageNode, manifest: Mapping[str, Any]) -> Iterator[str]:
    """Changed versions of the pieces that the config names. A different piece is reported as a changed field."""
    for place, (name, version) in node.pieces.items():
        before, number = manifest["pieces"].get(place, (name, 1))
        if before == name and number != version:
            yield f"version of {place} {name!r}: {number} -> {version}"


def _seeds(node: StageNode, manifest: Mapping[str, Any]) -> Iterator[str]:
    if node.seed != manifest["seed"]:
        yield f"seed: {_show(manifest['seed'])} -> {_show(node.seed)}"


def _gates(node: StageNode, plan: Plan, manifest: Mapping[str, Any]) -> Iterator[str]:
    """What changed for a stage of a later round: the decision and the previous round, which are not fields of its
    config."""
    for name in filter(None, (node.stop_gate, node.previous)):
        before = manifest["inputs"].get(name, {}).get("key")
        if name not in node.inputs and before != plan.nodes[name].key:
            yield (
                f"the round before ({name}) is another artifact, key {str(before)[:12]} -> {plan.nodes[name].key[:12]}"
            )
