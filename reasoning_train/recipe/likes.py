"""`like: STAGE`: a stage that copies another, except for the fields that it writes itself.

`blind: {like: tuned, data: "${stages.unfiltered}"}` has every field of `tuned` but `data`. The stage is searched in the
same group, then outside it. Maps are merged field by field; a map that `uses` something else replaces the whole map.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_gen.errors import nearest
from reasoning_train.recipe.errors import RecipeError
from reasoning_train.recipe.origins import Origins
from reasoning_train.recipe.overrides import merged
from reasoning_train.recipe.yaml_core import Document, join

_GROUPS = ("rounds", "grids")
LIKE = "like"


def written_out(document: Document) -> Document:
    """The document with every `like` resolved. RecipeError if one names no stage or is part of a cycle."""
    outside = document.value.get("stages")
    if not isinstance(outside, Mapping):
        outside = {}
    value, origins = dict(document.value), Origins(document.origins)
    places = {"stages": outside}
    for group in _GROUPS:
        members = document.value.get(group)
        for name, member in members.items() if isinstance(members, Mapping) else ():
            if isinstance(member, Mapping) and isinstance(member.get("stages"), Mapping):
                places[f"{group}.{name}.stages"] = member["stages"]
    for place, stages in places.items():
        whole = _Stages(stages, place, outside, origins, document.origins)
        _put(value, place.split("."), {name: whole.followed(name) for name in stages})
    return Document(value, origins)


class _Stages:
    """The stages of one map, and the outside stages that their `like` may name."""

    def __init__(
        self,
        stages: Mapping[str, Any],
        place: str,
        outside: Mapping[str, Any],
        origins: Origins,
        written: Origins,
    ) -> None:
        self.stages, self.place, self.outside, self.origins, self.written = stages, place, outside, origins, written
        self.known = {**outside, **stages}
        self._done: dict[str, Any] = {}

    def followed(self, name: str) -> Any:
        """A stage with everything that it copies from others."""
        above: dict[str, None] = {}
        """The stages whose `like` leads from `name` to a stage that is whole."""
        while name not in self._done and self._copies(name):
            above[name] = None
            name = self._other(name, list(above))
        whole = self._done.setdefault(name, self.known[name])
        for copy in reversed(above):
            whole = self._done[copy] = self._copied(copy, name, whole)
            name = copy
        return whole

    def _copies(self, name: str) -> bool:
        return isinstance(self.known[name], Mapping) and LIKE in self.known[name]

    def _other(self, name: str, above: list[str]) -> str:
        """The stage that a stage names in its `like`. `above`: the stages whose `like` led to it, and itself."""
        place, other = self._place(name), self.known[name][LIKE]
        at = f"{self.written.get(join(place, LIKE), place)}: {place}.{LIKE}"
        if other in above:
            raise RecipeError(f"{at}: `like` forms a circle of stages: {' -> '.join([*above, other])}.")
        if not isinstance(other, str) or other not in self.known:
            raise RecipeError(f"{at}: there is no stage {other!r}.{nearest(str(other), self.known)}")
        return other

    def _copied(self, name: str, other: str, below: Any) -> Any:
        """A stage with what it copies from another, which is whole."""
        own = {field: value for field, value in self.known[name].items() if field != LIKE}
        uses = below.get("uses") if isinstance(below, Mapping) else None
        if own.get("uses", uses) == uses:
            self._note(self._place(name), self._place(other))
        return merged(below, own)

    def _place(self, name: str) -> str:
        return join(self.place if name in self.stages else "stages", name)

    def _note(self, place: str, other: str) -> None:
        """Set the origins of copied fields to where the other stage writes them."""
        self.origins.graft(place, self.origins, other)
        self.origins.graft(place, self.written, place)
        self.origins.forget(join(place, LIKE))


def _put(value: dict[str, Any], path: list[str], stages: dict[str, Any]) -> None:
    """Set a map of stages. The maps on the way are copied."""
    if path[0] not in value:
        return
    if len(path) == 1:
        value[path[0]] = stages
        return
    value[path[0]] = dict(value[path[0]])
    _put(value[path[0]], path[1:], stages)
