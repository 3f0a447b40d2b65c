"""`claim`: a prediction that a recipe states before the run, tested on the results of all seeds."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from data_gen.errors import UserError, nearest
from data_gen.registry import Unkeyed
from reasoning_train.api.refs import Ref, TableRef
from reasoning_train.api.stage import Context, Gate, Input, Made, StageConfig, gate, stage
from reasoning_train.evaluation.claims import CLAIM_FORMS
from reasoning_train.evaluation.groups import Where
from reasoning_train.stages.effort import uneven_effort
from reasoning_train.stages.fits import table_rows

if TYPE_CHECKING:
    from reasoning_train.evaluation.arms import Arms
    from reasoning_train.evaluation.figure_intervals import DrawnFigure
    from reasoning_train.evaluation.row_figures import RowFigure
    from reasoning_train.evaluation.verdicts import Comparison, Finding

SEEDS_NEEDED = 5


class ClaimConfig(StageConfig):
    """What is claimed about which rows and metrics. `supported` means that every part holds."""

    table: list[TableRef] = []
    """One reference in the recipe, which becomes the list over all seeds. The form names rows of this table."""
    tables: dict[str, list[TableRef]] = {}
    """Several tables, instead of `table`: `{cot: "${stages.cot}", direct: "${stages.direct}"}`. The form names rows as
    `cot/policy`. Problems are paired by id."""
    form: CLAIM_FORMS.union()  # type: ignore[valid-type]
    """`{uses: difference, better: tuned, than: base, control: unfiltered}`, or `contrast`, `trend`, `within`."""
    metrics: list[str] = Field(["accuracy"], min_length=1)
    """What is compared: accuracy, trace, pass@k, maj@k, tokens, cut, a measure of the task, or a figure of whole rows
    (`f1`, `risk`, `aurc`), which every resample of problems computes anew. Several metrics give one joint verdict."""
    lower: list[str] = []
    """The metrics whose lower values are better. Costs, `cut` and measures that the task declares as lower-is-better
    need not be named."""
    where: Where = {}
    """Only problems with these tags: `{subject: algebra, difficulty: [4, 5]}`."""
    no_more: str | None = None
    """A cost, such as `tokens`, that may not be higher for the better arm. Costs are counted, not estimated: this is
    supported if the mean cost is no higher, and contradicted if the interval of the excess lies above 0."""
    tolerance: float = Field(0.0, ge=0)
    """The excess that `no_more` allows, as a share of the other arm's cost: 0.01 is one per cent."""
    method: Annotated[str | None, Unkeyed()] = None
    """Whose claim it is, for the matrix of methods: "Particles, arXiv 2502.01618". Unwritten: the recipe's `paper`."""
    says: Annotated[str | None, Unkeyed()] = None
    """The claim in words, for the same. Unwritten: the recipe's `description`."""
    seeds_needed: int = Field(SEEDS_NEEDED, ge=3)
    """With fewer seeds there are numbers but no verdict. Three are too few for most claims; a recipe that accepts them
    says so here, and the verdict's table repeats it."""
    min_shared: Annotated[float, Gate()] = Field(0.9, gt=0, le=1)
    """The minimum share of all problems that are verified in every row, table and seed."""

    @model_validator(mode="after")
    def _one_kind_of_tables(self) -> ClaimConfig:
        if bool(self.table) == bool(self.tables):
            raise ValueError("give either `table`, or `tables` with a name for each")
        lengths = {name: len(refs) for name, refs in self.sources.items()}
        if set(lengths.values()) - {1, max(lengths.values())}:
            raise ValueError(f"tables: every table needs one result for each seed, or one for all; got {lengths}")
        if self.tolerance and not self.no_more:
            raise ValueError(
                "tolerance: it needs `no_more`, which is not given; name a cost there, or remove `tolerance`"
            )
        return self

    @property
    def sources(self) -> Mapping[str, Sequence[Ref]]:
        """Name -> the table under every seed; the name of a single table is empty."""
        return self.tables or {"": self.table}

    @property
    def costs(self) -> list[str]:
        """The cost of `no_more`, if one is named."""
        return [self.no_more] if self.no_more else []


@stage("claim", version=3, outputs={"verdict": "verdict"}, seeded=False, across_seeds=True, heavy=False)
def claim(config: ClaimConfig, ctx: Context) -> None:
    """Write the verdict and the numbers behind it."""
    from reasoning_train.evaluation.arms import read_arms
    from reasoning_train.evaluation.names import declared_shares, lower_is_better
    from reasoning_train.evaluation.row_figures import figures_among
    from reasoning_train.evaluation.verdicts import NOT_CLAIMED, findings, joint

    rows = list(dict.fromkeys(row for _, row in config.form.named()))
    paths = {name: [ctx.input(ref).path for ref in refs] for name, refs in config.sources.items()}
    tables = [ctx.input(ref) for refs in config.sources.values() for ref in refs]
    manifests = [table.manifest for table in tables]
    figures = figures_among(config.metrics, *manifests)
    columns = [
        one for metric in config.metrics for one in (figures[metric].columns if metric in figures else (metric,))
    ]
    arms = read_arms(paths, rows, list(dict.fromkeys([*columns, *config.costs])), config.where, config.min_shared)
    lower = [one for one in config.metrics if one in config.lower or lower_is_better(one, *manifests)]
    shares = declared_shares(*manifests)
    if said := _margin_of_several_units(config, shares):
        raise UserError(f"claim.form.margin: {said}")
    found = findings(list(_comparisons(config, arms, figures, lower, shares)), config.seeds_needed)
    verdict = joint([one.verdict for one in found if one.verdict != NOT_CLAIMED])
    tried = _tried(rows, {name: ctx.input(refs[0]) for name, refs in config.sources.items()})
    result = {
        "verdict": verdict,
        "seeds": arms.seeds,
        "seeds_needed": config.seeds_needed,
        "problems": arms.problems,
        "left_out": arms.left_out,
        "tried": tried,
        "comparisons": [one.to_json() for one in found],
    }
    (ctx.output("verdict") / "verdict.json").write_text(json.dumps(result, indent=2), encoding="utf-8")
    for name, value in result.items():
        ctx.metric(name, value)
    ctx.metric("table", _table(config, arms, found, verdict, tried))


@claim.check
def names(config: ClaimConfig, made: Made) -> Iterator[tuple[str, str]]:
    """A misspelt row or metric, and arms that were not tuned with the same effort, are reported before the run."""
    for name, refs in config.sources.items():
        stages = sorted({ref.node.partition("@")[0] for ref in refs})
        if len(stages) > 1:
            place = f"tables.{name}" if name else "table"
            yield place, f"{', '.join(stages)} are several tables; give each a name of its own in `tables`."
    yield from _misspelt_rows(config, {name: table_rows(made, refs[0]) for name, refs in config.sources.items()})
    if len(config.sources) > 1 and (said := uneven_effort(made, _arms(config, made))):
        yield "form", said
    yield from _misspelt_metrics(config, [made(refs[0]) for refs in config.sources.values()])
    # Whether a measure is a share is known when the table is there: until then it counts as one.
    from reasoning_train.evaluation.names import COSTS

    if units := _margin_of_several_units(config, [metric for metric in config.metrics if metric not in COSTS]):
        yield "form.margin", units


def _margin_of_several_units(config: ClaimConfig, shares: Collection[str]) -> str | None:
    from reasoning_train.evaluation.names import mixed_units

    margins = [one.margin for one in config.form.statements() if one.margin]
    said = mixed_units(config.metrics, shares) if margins else None
    return (
        said and f"{margins[0]:g} would be a margin of all metrics, but {said}. Make a claim of its own for each unit."
    )


def _arms(config: ClaimConfig, made: Made) -> dict[str, Sequence[Ref]]:
    """The named rows with what distinguishes them, as far as their tables are known."""
    from reasoning_train.evaluation.names import split_row

    known = {name: maker.config.arms for name, refs in config.sources.items() for maker in made.makers(refs[0])[:1]}
    found: dict[str, Sequence[Ref]] = {}
    for _, row in config.form.named():
        with contextlib.suppress(ValueError):  # a row without a table is told by `_misspelt_rows`
            table, own = split_row(row, list(config.sources))
            if own in known.get(table, {}):
                found[row] = known[table][own]
    return found


def _misspelt_rows(config: ClaimConfig, known: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    from reasoning_train.evaluation.names import row_problem, split_row

    for field, row in config.form.named():
        try:
            table, own = split_row(row, list(known))
        except ValueError as error:
            yield f"form.{field}", str(error)
            continue
        if known[table] and (problem := row_problem(own, known[table], str(config.sources[table][0]))):
            yield f"form.{field}", problem


def _misspelt_metrics(config: ClaimConfig, made: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    from reasoning_train.evaluation.names import metric_problem

    for field, metrics in (("metrics", config.metrics), ("no_more", config.costs)):
        for metric in metrics:
            found = {metric_problem(metric, each, cost=field == "no_more") for each in made}
            yield from ((field, problem) for problem in sorted(filter(None, found)))
    for metric in config.lower:
        if metric not in config.metrics:
            yield "lower", f"{metric!r} is not one of the claim's metrics.{nearest(metric, config.metrics)}"


def _tried(rows: Sequence[str], tables: Mapping[str, Input]) -> dict[str, str]:
    """Out of how many candidates each row was chosen; empty if none was."""
    from reasoning_train.evaluation.names import split_row
    from reasoning_train.evaluation.tables import effort

    known = {name: table.manifest["metrics"].get("summary", {}).get("tried", {}) for name, table in tables.items()}
    places = {row: split_row(row, list(tables)) for row in rows}
    found = {row: known[table].get(own, {}) for row, (table, own) in places.items()}
    return {row: effort(choices) for row, choices in found.items()} if any(found.values()) else {}


def _comparisons(
    config: ClaimConfig,
    arms: Arms,
    figures: Mapping[str, RowFigure],
    lower: Collection[str],
    shares: Collection[str],
) -> Iterator[Comparison]:
    from reasoning_train.evaluation.names import bounds_of
    from reasoning_train.evaluation.verdicts import compare, compare_figures, no_more

    statements = config.form.statements()
    for metric in config.metrics:
        less, bounds = metric in lower, bounds_of(metric, shares)
        rows = _resampled(metric, figures[metric], arms) if metric in figures else {}
        for statement in statements:
            if rows:
                yield compare_figures(statement, metric, rows, lower=less, bounds=bounds)
            else:
                yield compare(statement, metric, arms.values[metric], lower=less, bounds=bounds)
    for cost in config.costs:
        for statement in statements:
            if statement.claimed:
                yield no_more(statement, cost, arms.values[cost], config.tolerance)


def _resampled(metric: str, figure: RowFigure, arms: Arms) -> dict[str, DrawnFigure]:
    """The figure of every row. GateError if a row has none under some seed."""
    import numpy as np

    from reasoning_train.evaluation.figure_intervals import resampled

    rows = list(arms.values[figure.columns[0]])
    found = resampled(figure, {row: np.stack([arms.values[one][row] for one in figure.columns]) for row in rows})
    for row, one in found.items():
        without = int(np.isnan(one.values).sum())
        gate(
            without == 0,
            f"claim.metrics: {row!r} has no {metric} under {without} of {arms.seeds} seeds: of {arms.problems} "
            f"problems none counts in what it divides by ({', '.join(figure.columns)}). Claim another metric, or "
            "evaluate problems for which it is defined.",
        )
    return found


def _table(
    config: ClaimConfig, arms: Arms, found: Sequence[Finding], verdict: str, tried: Mapping[str, str]
) -> dict[str, Any]:
    """The verdict with the numbers behind it, as the terminal and the report show them."""
    from reasoning_train.evaluation.verdicts import COLUMNS

    where = f" where {', '.join(f'{tag} is {value}' for tag, value in config.where.items())}" if config.where else ""
    left_out = f", {arms.left_out} left out" if arms.left_out else ""
    seeds = f"{arms.seeds} seed{'s' if arms.seeds > 1 else ''}"
    asked = "" if config.seeds_needed == SEEDS_NEEDED else f" ({config.seeds_needed} suffice, says the recipe)"
    effort = f"; tried: {', '.join(f'{row} {said}' for row, said in tried.items())}" if tried else ""
    silent = [f"{row} answers {share.percent()} %" for row, share in arms.coverage.items()]
    abstained = f"; {', '.join(silent)}, and an abstention counts as not right" if silent else ""
    basis = f"{arms.problems} problems{left_out}, {seeds}{asked}{effort}{abstained}"
    return {
        "title": f"claim on {', '.join(config.metrics)}{where}: {verdict}; {basis}",
        "columns": COLUMNS,
        "rows": [one.cells() for one in found],
    }
