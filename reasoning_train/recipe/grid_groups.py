"""Groups of stages that a grid repeats: `grids: {tune: {over: {beta: [0.1, 0.3]}, stages: {...}, choose: {...}}}`."""

from __future__ import annotations

from collections.abc import Iterator

from reasoning_train.recipe.drafts import Draft, drafts_of, grid_settings
from reasoning_train.recipe.errors import Problems, sentence
from reasoning_train.recipe.resolver.scope import Scope
from reasoning_train.recipe.resolver.text import hint
from reasoning_train.recipe.rounds import BEST, table_of
from reasoning_train.recipe.schema import ChoiceRule, Grid


def spread_out(name: str, grid: Grid, problems: Problems) -> Iterator[Draft]:
    """The drafts of every setting; none if the group is invalid."""
    known = grid_settings(grid.over, f"grids.{name}.over", problems)
    if not _sound(name, grid, problems):
        return
    for setting in known:
        scope = Scope(grid=name, setting=setting)
        for stage, entry in grid.stages.items():
            yield from drafts_of(f"{scope.prefix}{stage}", f"grids.{name}.stages.{stage}", entry, problems, scope)


def _sound(name: str, grid: Grid, problems: Problems) -> bool:
    found = (
        [(f"stages.{BEST}", f"{BEST!r} is made by the grid itself; rename the stage")] if BEST in grid.stages else []
    )
    named = {"choose.policy": grid.choose.policy, "choose.table": table_of(grid.choose)} if grid.choose else {}
    for field, stage in named.items():
        if stage not in grid.stages:
            found.append((field, f"the grid has no stage {stage!r}{hint(stage, grid.stages)}"))
        elif grid.stages[stage].grid:
            found.append((field, f"{stage!r} has a grid of its own; choose one of its settings and name that"))
    for field, message in found:
        problems.add(f"grids.{name}.{field}", sentence(message))
    return not found


def best_of_grid(name: str, choose: ChoiceRule, policy: str, labels: list[str]) -> Draft:
    """The node behind `${grids.NAME.best}`: the policy of the setting that did best on dev."""
    table = table_of(choose)
    written = {
        "policies": {label: f"${{grids.{name}.{policy}[{label}]}}" for label in labels},
        "table": {label: f"${{grids.{name}.{table}[{label}]}}" for label in labels},
        "metric": choose.metric,
        "row": choose.row,
        "lower": choose.lower,
        **({"uneven": choose.uneven} if choose.uneven else {}),
    }
    return Draft(name=f"grids.{name}.{BEST}", path=f"grids.{name}.choose", uses="choose", written=written)
