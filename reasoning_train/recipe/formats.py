"""Which text conventions flow along the edges: the task half of the Format, known before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from data_gen.errors import UserError
from data_gen.format import Format, TaskFormat
from reasoning_train.api.refs import Kind, Ref
from reasoning_train.recipe.errors import Problems
from reasoning_train.recipe.yaml_core import join

WITHOUT = frozenset({"table", "verdict", "decision", "page"})
"""Kinds of outputs that hold numbers or pages, not rows of text: tasks with different formats may meet in one table."""

TASK_FORMAT = frozenset({"model", "verifier"})
"""Stage types whose field `task_format` is the format of `task:` unless the recipe says otherwise."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One input of a node."""

    place: str
    """Field of the config, dotted."""
    ref: Ref
    kinds: list[Kind]
    """Kinds that the field takes; none: any, whatever its format."""
    given: str
    """Kind of the output behind the reference; empty where it is not known."""


class Formats:
    """The task format of every node, from its config or from its inputs, which must agree."""

    def __init__(self) -> None:
        self._known: dict[str, TaskFormat | None] = {}

    def enter(self, node: str, uses: str, config: Mapping[str, Any]) -> None:
        """Note the format of a node that has its own: a split of a task, the base model, a verifier from elsewhere."""
        own = config["task"]["format"] if uses == "problems" else config["task_format"] if uses in TASK_FORMAT else None
        if own is not None:
            self._known[node] = TaskFormat.model_validate(own)

    def inherit(self, node: str, path: str, edges: Iterable[Edge], problems: Problems) -> None:
        """Take over the format of the inputs, noting those that differ from the first."""
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
                problems.add(join(path, edge.place), str(error))
        if first:
            self._known.setdefault(node, first[1])
