"""YAML 1.2 core schema with the place of every value: `1e-5` is a number, `no` is a string, and a duplicate key is an
error.

PyYAML scans and composes. The values are built here, because PyYAML's constructor follows YAML 1.1. What is nested too
deeply, or grows too large through aliases, is refused (limits.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from reasoning_train.recipe import limits
from reasoning_train.recipe.errors import RecipeError
from reasoning_train.recipe.origins import Origins

_TAG = "tag:yaml.org,2002:"
_SCALARS = {
    "null": (re.compile(r"^(?:null|Null|NULL|~|)$"), [*"nN~", ""]),
    "bool": (re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), [*"tTfF"]),
    "int": (re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"), [*"-+0123456789"]),
    "float": (
        re.compile(
            r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
        ),
        [*"-+.0123456789"],
    ),
}
"""Type -> (pattern of such a scalar, its possible first characters): YAML 1.2.2, section 10.3.2."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the base depends on how PyYAML was built
    """PyYAML's composer with the scalar types of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, Any] = {}


for _name, (_pattern, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(_TAG + _name, _pattern, _first)


@dataclass(frozen=True, slots=True)
class Document:
    """Plain values and their places: `origins["stages.sample.n"] == "recipe.yaml:12"`."""

    value: dict[str, Any]
    origins: Origins = field(default_factory=Origins)


def read_yaml(path: Path, shown: str, count: limits.Count | None = None) -> Document:
    """The mapping in a file. RecipeError, beginning with `shown:line`, for anything else. `shown` is the file's name in
    messages. `count` has the values of other files of the same recipe."""
    try:
        with path.open("rb") as file:
            raw = file.read(limits.FILE_BYTES + 1)
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"{shown}: not UTF-8 text ({error.reason} at byte {error.start}). Save the file as UTF-8."
        ) from error
    except OSError as error:
        raise RecipeError(f"{shown}: cannot be read: {error.strerror}.") from error
    if len(raw) > limits.FILE_BYTES:
        raise RecipeError(f"{shown}: larger than {limits.FILE_BYTES // 2**20} MiB, which no recipe is.")
    origins = Origins()
    value = _parse(text, lambda line: f"{shown}:{line}", origins, count or limits.values())
    if not isinstance(value, dict):
        raise RecipeError(f"{shown}:1: expected a mapping such as `name: ...`, got {_describe(value)}.")
    return Document(value, origins)


def parse_value(text: str, shown: str) -> Any:
    """One value as YAML writes it: `1e-5`, `no`, `[1, 2]`, `{a: 1}`. RecipeError beginning with `shown`."""
    return _parse(text, lambda line: shown, Origins(), limits.values())


Place = Callable[[int], str]
"""Line number, from 1 -> its place, for messages and origins."""


def _parse(text: str, place: Place, origins: Origins, count: limits.Count) -> Any:
    try:
        _check_nesting(text, place)
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        hint = " Indent with spaces; a tab is none." if "\t" in "".join(text.splitlines()[line - 1 : line]) else ""
        raise RecipeError(f"{place(line)}: not valid YAML: {error.problem}{_while(error)}.{hint}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise RecipeError(
            f"{place(line)}: not valid YAML: the character U+{error.character:04X} is not allowed in a file."
        ) from error
    return _Builder(place, origins, count).build(node, "", 1) if node is not None else None


def _check_nesting(text: str, place: Place) -> None:
    """Refuse what is nested deeper than PyYAML's composer can go: it would end the process."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > limits.NESTING:
            raise _too_deep(place(event.start_mark.line + 1 if event.start_mark else 1))


def _too_deep(place: str) -> RecipeError:
    return RecipeError(f"{place}: nested more than {limits.NESTING} levels deep; write it flatter.")


def _while(error: yaml.MarkedYAMLError) -> str:
    return f" ({error.context})" if error.context else ""


class _Builder:
    """Turns composed nodes into values and records their origins."""

    def __init__(self, place: Place, origins: Origins, count: limits.Count) -> None:
        self.place, self.origins, self.count = place, origins, count
        self._open: set[int] = set()

    def build(self, node: yaml.Node, path: str, line: int) -> Any:
        """The value of a node at a dotted path and a line."""
        self.count.add(1, lambda: self.place(line))
        if path:
            self.origins[path] = self.place(line)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if node.tag not in (_TAG + "map", _TAG + "seq"):
            raise self._error(
                node, f"the tag {_short(node.tag)} is not part of YAML's core schema; write a plain value"
            )
        if id(node) in self._open:
            raise self._error(node, "an alias refers to the value that it is part of")
        if len(self._open) >= limits.NESTING:
            raise _too_deep(self.place(_line(node)))
        self._open.add(id(node))
        try:
            return self._mapping(node, path) if isinstance(node, yaml.MappingNode) else self._sequence(node, path)
        finally:
            self._open.discard(id(node))

    def _sequence(self, node: yaml.Node, path: str) -> list[Any]:
        return [self.build(item, join(path, str(i)), _line(item)) for i, item in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[str, Any]:
        merges = [(key, value) for key, value in node.value if _is_merge(key)]
        result = self._merged(merges, path)
        seen: dict[str, int] = {}
        for key_node, value_node in node.value:
            if _is_merge(key_node):
                continue
            key = self._key(key_node)
            if key in result:  # it came from a merge
                self.origins.forget(join(path, key))
            if key in seen:
                raise self._error(
                    key_node, f"the key {key!r} is given twice, first on line {seen[key]}; keep one of them"
                )
            seen[key] = _line(key_node)
            result[key] = self.build(value_node, join(path, key), _line(key_node))
        return result

    def _merged(self, merges: list[tuple[yaml.Node, yaml.Node]], path: str) -> dict[str, Any]:
        """The entries from `<<: *base` or `<<: [*first, *second]`. The map's own entries take precedence."""
        if len(merges) > 1:
            raise self._error(merges[1][0], "the key '<<' is given twice; write `<<: [*first, *second]`")
        result: dict[str, Any] = {}
        for _, value in merges:
            sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
            for source in reversed(sources):
                if not isinstance(source, yaml.MappingNode):
                    raise self._error(
                        source, "'<<' takes a map that is defined elsewhere, or a list of such maps: `<<: *base`"
                    )
                builder = _Builder(self.place, Origins(), self.count)
                builder._open = self._open
                brought = builder.build(source, path, _line(source))
                for key in brought.keys() & result.keys():
                    self.origins.forget(join(path, key))
                self.origins.graft(path, builder.origins, path)
                result |= brought
        return result

    def _key(self, node: yaml.Node) -> str:
        key = self._scalar(node) if isinstance(node, yaml.ScalarNode) else None
        if isinstance(key, str):
            return key
        raise self._error(node, f"a key must be text, got {_describe(key)}; put it in quotes")

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        kind, text = node.tag.removeprefix(_TAG), node.value
        if kind == "str":
            return text
        if kind not in _SCALARS:
            raise self._error(
                node, f"the tag {_short(node.tag)} is not part of YAML's core schema; write a plain value"
            )
        if not _SCALARS[kind][0].match(text):
            raise self._error(node, f"{text!r} is not a value of type {kind}")
        if kind in ("int", "float") and len(text) > limits.DIGITS:
            raise self._error(node, f"a number of {len(text):,} characters; expected at most {limits.DIGITS}")
        return _construct(kind, text)

    def _error(self, node: yaml.Node, message: str) -> RecipeError:
        return RecipeError(f"{self.place(_line(node))}: {message}.")


def _is_merge(node: yaml.Node) -> bool:
    """Whether a key is YAML 1.1's merge key, `<<` without quotes."""
    return isinstance(node, yaml.ScalarNode) and node.value == "<<" and node.style in (None, "")


def _construct(kind: str, text: str) -> Any:
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "float":
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    return int(text[2:], base) if base != 10 else int(text)


def join(path: str, key: str) -> str:
    """`stages.sample` and `n` to `stages.sample.n`; the root is the empty path."""
    return f"{path}.{key}" if path else key


def _line(node: yaml.Node) -> int:
    line: int = node.start_mark.line + 1
    return line


def _short(tag: str) -> str:
    return "!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag


def _describe(value: Any) -> str:
    if isinstance(value, list):
        return "a list"
    return "nothing" if value is None else repr(value)
