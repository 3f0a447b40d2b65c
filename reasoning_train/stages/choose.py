"""`choose`: the best of several models or pools by a metric on dev. `${rounds.NAME.best}` makes such a stage."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from data_gen.registry import Unkeyed
from reasoning_train.api.refs import CandidateRef, Ref, Spread, TableRef
from reasoning_train.api.stage import Context, KindOf, Made, StageConfig, stage
from reasoning_train.stages.fits import row_misfit, unequal_problems, unknown_metric


class ChooseConfig(StageConfig):
    """The candidates by name, and the metric that decides."""

    policies: dict[str, CandidateRef] = Field(min_length=1)
    """Models, verifiers, or pools of solutions or trees. A pool on held-out problems is chosen by what its setting does
    on dev, such as the temperature: the table is that of a pool on dev."""
    table: TableRef | dict[str, TableRef]
    """An evaluation on dev whose rows have the candidates' names, or one table per candidate. If both are all settings
    of one grid, `policies: "${grids.tune.pool}", table: "${grids.tune.dev}"`, each candidate has its setting's."""
    metric: str = "accuracy"
    """The metric that decides. If candidates are equal, the first is chosen."""
    lower: bool = False
    """Lower values of the metric are better. For costs and `cut` this is the default."""
    row: str | None = None
    """With one table per candidate: the row to compare. Needed if the tables have several."""
    uneven: Annotated[str | None, Unkeyed()] = None
    """Why this arm was chosen from more or fewer candidates than another arm of the same evaluation."""

    @model_validator(mode="before")
    @classmethod
    def _by_setting(cls, given: Any) -> Any:
        """All settings of two stages of a grid are paired by setting, not by the stages' names."""
        if isinstance(given, Mapping):
            policies, table = given.get("policies"), given.get("table")
            if isinstance(policies, Spread) and isinstance(table, Spread):
                return {**given, "policies": policies.refs, "table": table.refs}
        return given

    @model_validator(mode="after")
    def _complete(self) -> ChooseConfig:
        if isinstance(self.table, Ref) and self.row:
            raise ValueError("row: the rows of a single table have the candidates' names; remove `row`")
        if not isinstance(self.table, Ref) and self.table.keys() != self.policies.keys():
            raise ValueError(
                f"table: expected a table for each of the candidates {', '.join(self.policies)}, got "
                f"{', '.join(self.table) or 'none'}"
            )
        return self

    def place(self, name: str) -> tuple[Ref, str | None]:
        """The table and the row that hold a candidate's value."""
        return (self.table, name) if isinstance(self.table, Ref) else (self.table[name], self.row)


@stage(
    "choose",
    version=1,
    outputs={"model": KindOf("policies")},
    seeded=False,
    heavy=False,
    learns="chooses",
    learns_from=("table",),
)
def choose(config: ChooseConfig, ctx: Context) -> None:
    """Publish the chosen candidate again. Files are hard links where the file system has them, and take no space."""
    from reasoning_train.evaluation.dev_value import dev_value
    from reasoning_train.evaluation.names import lower_is_better

    values, manifests = {}, []
    for name in config.policies:
        table, row = config.place(name)
        values[name] = dev_value(ctx.input(table), table, config.metric, row, "choose")
        manifests.append(ctx.input(table).manifest)
    chosen = best_of(values, lower=config.lower or lower_is_better(config.metric, *manifests))
    candidates = {name: ctx.input(ref) for name, ref in config.policies.items()}
    shutil.copytree(candidates[chosen].path, ctx.output("model"), copy_function=_link, dirs_exist_ok=True)
    ctx.metric("chosen", chosen)
    ctx.metric("values", values)
    keys = {name: str(candidate.manifest["key"]) for name, candidate in candidates.items()}
    ctx.metric("table", tried(config.metric, values, chosen, keys))


def best_of(values: Mapping[str, float], *, lower: bool = False) -> str:
    """The name of the highest value, or of the lowest with `lower`. The first one wins ties."""
    return min(values, key=lambda name: values[name]) if lower else max(values, key=lambda name: values[name])


def tried(metric: str, values: Mapping[str, float], chosen: str, keys: Mapping[str, str]) -> dict[str, Any]:
    """The table of candidates for the terminal and the report. `keys`: the keys of their artifacts; rounds after the
    stop rule fired have the artifact of an earlier round."""
    first: dict[str, str] = {}
    for name, key in keys.items():
        first.setdefault(key, name)
    notes = {name: "chosen" if name == chosen else "" for name in values}
    notes |= {name: f"the same as {first[key]}" for name, key in keys.items() if first[key] != name}
    return {
        "title": f"chosen out of {len(first)} by {metric}",
        "columns": ["candidate", metric, ""],
        "rows": [[name, f"{value:.4g}", notes[name]] for name, value in values.items()],
    }


@choose.check
def names(config: ChooseConfig, made: Made) -> Iterator[tuple[str, str]]:
    """A candidate without a row, a misspelt metric, and tables of different problems are reported before the run, not
    at its end."""
    if not isinstance(config.table, Ref) and (said := unequal_problems(made, config.table)):
        yield "table", said
    yield from unknown_metric(made, config.metric, (config.place(name)[0] for name in config.policies))
    for name in config.policies:
        table, row = config.place(name)
        if said := row_misfit(made, row, table):
            yield "table" if isinstance(config.table, Ref) else "row", said
            return


def _link(source: str, target: str) -> None:
    try:
        os.link(Path(source).resolve(), target)
    except OSError:
        shutil.copy2(source, target)
