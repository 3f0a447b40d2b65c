"""`like: STAGE`: a stage that copies another, except for the fields that it writes itself.

`blind: {like: tuned, data: "${stages.unfiltered}"}` has every field of `tuned` but `data`. The stage is searched in the
same group, then outside it. Maps are merged field by field; a map that `uses` something else replaces the whole map.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_gen.errors import nearest
from reasoning_train.recipe.errors import RecipeError
from reasoning_train.recipe.overrides import merged
from reasoning_train.recipe.yaml_core import Document, join

_GROUPS = ("rounds", "grids")
LIKE = "like"


def written_out(document: Document) -> Document:
    """The document with every `like` resolved. RecipeError if one names no stage or is part of a cycle."""
    outside = document.value.get("stages")
    if not isinstance(outside, Mapping):
        outside = {}
    value, origins = dict(document.value), dict(document.origins)
    places = {"stages": outside}
    for group in _GROUPS:
        members = document.value.get(group)
        for name, member in members.items() if isinstance(members, Mapping) else ():
            if isinstance(member, Mapping) and isinstance(member.get("stages"), Mapping):
                places[f"{group}.{name}.stages"] = member["stages"]
    for place, stages in places.items():
        whole = _Stages(stages, place, outside, origins, document.origins)
        _put(value, place.split("."), {name: whole.followed(name, ()) for name in stages})
    return Document(value, origins)


class _Stages:
    """The stages of one map, and the outside stages that their `like` may name."""

    def __init__(
        self,
        stages: Mapping[str, Any],
        place: str,
        outside: Mapping[str, Any],
        origins: dict[str, str],
        written: Mapping[str, str],
    ) -> None:
        self.stages, self.place, self.outside, self.origins, self.written = stages, place, outside, origins, written

    def followed(self, name: str, above: tuple[str, ...]) -> Any:
        """A stage with everything that it copies from others. `above`: the stages whose `like` led here."""
        inside = name in self.stages
        place = join(self.place if inside else "stages", name)
        stage = self.stages[name] if inside else self.outside[name]
        if not isinstance(stage, Mapping) or LIKE not in stage:
            return stage
        other = stage[LIKE]
        at = f"{self.written.get(join(place, LIKE), place)}: {place}.{LIKE}"
        if other in (*above, name):
            raise RecipeError(f"{at}: `like` forms a circle of stages: {' -> '.join([*above, name, other])}.")
        known = {**self.outside, **self.stages}
        if not isinstance(other, str) or other not in known:
            raise RecipeError(f"{at}: there is no stage {other!r}.{nearest(str(other), known)}")
        below = self.followed(other, (*above, name))
        own = {field: value for field, value in stage.items() if field != LIKE}
        if own.get("uses", below.get("uses")) == below.get("uses"):
            self._note(place, join(self.place if other in self.stages else "stages", other))
        return merged(below, own)

    def _note(self, place: str, other: str) -> None:
        """Set the origins of copied fields to where the other stage writes them."""
        inside = {known: line for known, line in self.origins.items() if known.startswith(other + ".")}
        self.origins |= {place + known.removeprefix(other): line for known, line in inside.items()} | {
            known: line for known, line in self.written.items() if known.startswith(place + ".")
        }
        self.origins.pop(join(place, LIKE), None)


def _put(value: dict[str, Any], path: list[str], stages: dict[str, Any]) -> None:
    """Set a map of stages. The maps on the way are copied."""
    if path[0] not in value:
        return
    if len(path) == 1:
        value[path[0]] = stages
        return
    value[path[0]] = dict(value[path[0]])
    _put(value[path[0]], path[1:], stages)
