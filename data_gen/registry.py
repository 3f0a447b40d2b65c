"""One small registry for everything that a recipe names: stages, tasks, searches, scorers, losses.

A built-in registers itself when its package's modules are imported (`scan`), a user's own package
through an entry point of the registry's group. Both need one decorator and no other edit:

    @TASKS.register("chain")
    class Chain(Task): ...
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Annotated, Any, ClassVar, Generic, TypeVar, Union

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from data_gen.errors import UserError, nearest

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Unkeyed:
    """Marks a field of a config, at any depth, that changes how the work is done but not the result. The field stays
    out of the key.

    `micro_tokens: Annotated[int, Unkeyed()] = 8192`
    """


class Part(BaseModel):
    """Base of configs that are parts of other configs and have behaviour of their own, e.g. `Expand(n=4)`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: ClassVar[int] = 1
    """Version of the part. It enters the key of whatever uses the part, and of nothing else. Bump it when the same
    configuration gives other results; the known-answer test fails until you do."""


class Piece(Part):
    """Base of every config that a recipe names by `uses`. Its fields are what the recipe writes; its methods are the
    behaviour.

    A subclass has `uses: Literal["name"] = "name"`. Where all its fields have defaults, a recipe may write the name
    alone: `search: best_of_n` is `search: {uses: best_of_n}`.
    """

    uses: str


class Registry(Generic[T]):
    """Named things of one kind. Modules of `package` must not import anything heavy at top level."""

    def __init__(self, kind: str, package: str, group: str) -> None:
        self.kind, self.package, self.group = kind, package, group
        self._entries: dict[str, T] = {}
        self._scanned = False

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that registers a thing under `name`. A second thing of the same name is refused."""

        def enter(thing: T) -> T:
            known = self._entries.setdefault(name, thing)
            if known is not thing:
                raise ValueError(f"{self.kind} {name!r} is registered twice: {known!r} and {thing!r}")
            return thing

        return enter

    def get(self, name: str) -> T:
        """The thing called `name`. UserError names the nearest one if there is none."""
        self._scan()
        if name not in self._entries:
            raise UserError(f"Unknown {self.kind} {name!r}.{nearest(name, self._entries)}")
        return self._entries[name]

    def names(self) -> list[str]:
        """All names, sorted."""
        self._scan()
        return sorted(self._entries)

    def union(self) -> Any:
        """The pydantic type of a config of any registered class. The Literal `uses` of each class tells them apart.

        A bare name stands for the config with all defaults.
        """
        classes = tuple(self.get(name) for name in self.names())
        one_of = Annotated[Union[classes], Field(discriminator="uses")] if len(classes) > 1 else classes[0]  # noqa: UP007
        return Annotated[one_of, BeforeValidator(_written_out, json_schema_input_type=Union[str, one_of])]  # noqa: UP007

    def _scan(self) -> None:
        if self._scanned:
            return
        self._scanned = True
        for module in pkgutil.iter_modules(importlib.import_module(self.package).__path__):
            importlib.import_module(f"{self.package}.{module.name}")
        for point in entry_points(group=self.group):
            self.register(point.name)(point.load())


def _written_out(value: Any) -> Any:
    return {"uses": value} if isinstance(value, str) else value
