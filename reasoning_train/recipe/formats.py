"""The text conventions (the task half of the Format) that pass along the edges of the graph, checked before anything
runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from data_gen.errors import UserError
from data_gen.format import Format, TaskFormat
from reasoning_train.api.refs import OutputKind, Ref
from reasoning_train.recipe.errors import Problems
from reasoning_train.recipe.yaml_core import join

WITHOUT = frozenset({"table", "verdict", "decision", "page"})
"""Kinds of outputs with numbers or pages, not rows of text. Tasks with different formats may be combined in them."""

TASK_FORMAT = frozenset({"model", "verifier"})
"""Stage types whose field `task_format` is the format of `task:` unless the recipe says otherwise."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One input of a node."""

    place: str
    """Dotted path of the config field."""
    ref: Ref
    kinds: list[OutputKind]
    """Kinds that the field accepts. Empty: any kind with any format."""
    given: str
    """Kind of the output behind the reference; empty if unknown."""


class Formats:
    """The task format of every node, from its config or from its inputs, which must agree."""

    def __init__(self) -> None:
        self._known: dict[str, TaskFormat | None] = {}

    def enter(self, node: str, uses: str, config: Mapping[str, Any]) -> None:
        """Record the format of a node that has its own: a split of a task, the base model, an external verifier."""
        own = config["task"]["format"] if uses == "problems" else config["task_format"] if uses in TASK_FORMAT else None
        if own is not None:
            self._known[node] = TaskFormat.model_validate(own)

    def inherit(self, node: str, path: str, edges: Iterable[Edge], problems: Problems, instead: str = "") -> None:
        """Use the format of the inputs; note a problem for inputs that differ from the first. `instead`: what else the
        stage can do about it, as a sentence."""
        first: tuple[Ref, TaskFormat] | None = None
        for edge in edges:
            fmt = self._known.get(edge.ref.node)
            if (
                fmt is None
                or edge.given in WITHOUT
                or not edge.kinds
                or any(not kind.same_format for kind in edge.kinds)
            ):
                continue
            first = first or (edge.ref, fmt)
            try:
                Format(task=first[1]).check_same_task(Format(task=fmt), f"{str(first[0])!r}", f"{str(edge.ref)!r}")
            except UserError as error:
                problems.add(join(path, edge.place), f"{error}{instead}")
        if first:
            self._known.setdefault(node, first[1])
