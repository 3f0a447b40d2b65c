"""The graph before references are resolved: one draft per stage, with rounds unrolled and grids expanded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from reasoning_train.recipe.errors import Problems
from reasoning_train.recipe.grids import BadGrid, nested, placed, settings
from reasoning_train.recipe.overrides import leaves, merged
from reasoning_train.recipe.resolver.scope import OUTSIDE, Scope, Setting
from reasoning_train.recipe.schema import MixedSeed, Stage
from reasoning_train.recipe.validate import validate
from reasoning_train.recipe.yaml_core import join


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A stage as written, e.g. `Draft(name="rounds.grow.2.sample", path="rounds.grow.stages.sample", uses="sample",
    ...)`."""

    name: str
    path: str
    """Dotted path of the stage in the recipe."""
    uses: str
    written: Mapping[str, Any]
    """Its config, with references as text."""
    seed: Any = None
    """The seed as written; see `seeds.stage_seed`."""
    resources: Mapping[str, Any] = field(default_factory=dict)
    allow_test: str | None = None
    """Why it may learn from evaluated problems."""
    scope: Scope = OUTSIDE
    implicit: bool = False
    """True: its config comes from `model:` or `task:`, not from `written`."""
    stop_gate: str | None = None
    previous: str | None = None

    def place(self, name: str) -> str:
        """Dotted path in the recipe of a field of its config. The task inside a split's config is `path` itself."""
        return join(self.path, name.removeprefix("task.") if self.implicit else name)


def drafts_of(name: str, path: str, stage: Stage, problems: Problems, scope: Scope, **gate: Any) -> Iterator[Draft]:
    """The draft of a stage in one scope, or one draft per setting if it has a grid."""
    if not stage.grid:
        yield _draft(name, path, stage, scope=scope, **gate)
        return
    written = stage.model_dump(exclude_unset=True, exclude={"grid"})
    for setting in grid_settings(stage.grid, join(path, "grid"), problems):
        own = f"{name}.{setting.name}"
        problems.place(own, path)
        for parameter, source in setting.sources.items():
            problems.place(join(own, parameter), join(path, f"grid.{source}"))
        filled, read = placed(written, setting.values)
        fields = {parameter: value for parameter, value in setting.values.items() if parameter not in read}
        with_values = validate(Stage, merged(filled, nested(fields)), own, problems)
        if with_values is not None:
            before = {key: f"{node}.{setting.name}" if key == "previous" else node for key, node in gate.items()}
            yield _draft(own, own, with_values, scope=scope, **before)


def grid_settings(grid: Mapping[str, Any], path: str, problems: Problems) -> list[Setting]:
    """The settings of a grid. If it is invalid, none, and the problem is noted."""
    try:
        return settings(grid)
    except BadGrid as error:
        problems.add(join(path, error.args[0]) if error.args[0] else path, error.args[1])
        return []


def varied(
    stage: Stage, path: str, own: str, changes: Mapping[str, tuple[Any, str]], problems: Problems
) -> tuple[Stage, str]:
    """A stage with changes merged in, and the path at which its problems are reported. `changes`: path where they are
    written -> (the changes, suffix of each field's path there)."""
    if not any(change for change, _ in changes.values()):
        return stage, path
    problems.place(own, path)
    written: Any = stage.model_dump(exclude_unset=True)
    for source, (change, behind) in changes.items():
        written = merged(written, change)
        for field_name in leaves(change) if change else ():
            problems.place(join(own, field_name), f"{join(source, field_name)}{behind}")
    return validate(Stage, written, own, problems) or stage, own


def _draft(name: str, path: str, stage: Stage, **more: Any) -> Draft:
    resources = stage.resources.model_dump(exclude_none=True)
    return Draft(
        name=name,
        path=path,
        uses=stage.uses,
        written=dict(stage.model_extra or {}),
        seed=stage.seed.model_dump() if isinstance(stage.seed, MixedSeed) else stage.seed,
        resources=resources,
        allow_test=stage.allow_test,
        **more,
    )
