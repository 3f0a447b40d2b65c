"""`adaptive`: the strategy of each problem by its difficulty, from a few charged samples (arXiv 2408.03314).

few:  {uses: sample, policy: "${stages.base}", problems: "${task.test}", n: 4, temperature: 1.0, seed: {mix: few}}
best: {uses: adaptive, problems: "${task.test}", table: "${stages.strategies}", budgets: [200, 400],
       estimate: {pool: "${stages.few}", n: 4, by: agreement}}

Problems are put into bins by how easy they look, without gold. For every bin some folds of the problems choose the
strategy that the other fold is given, so that no problem has a say in its own. The rows, with `@BUDGET` where there are
budgets:

- `best fixed`: one strategy for all problems, chosen by the same folds. Not the best one in hindsight.
- `adaptive`: a strategy for each bin. The estimating samples are charged to every problem, and none is used again.
- `adaptive, amortised`: the samples are free, as the paper counts, which estimates difficulty from 2048 of them.
- `random bins`: bins that say nothing, free. What the choice by bins costs where difficulty is unknown.
- `oracle bins`: by the share of the pool that is right, free. It sees gold and is marked so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reasoning_train.api.stage import Context, Sizes, at_most, gate, stage
from reasoning_train.evaluation.groups import count_asked, restricted
from reasoning_train.evaluation.verifiable import check_verifiable
from reasoning_train.stages.adaptive_config import ADAPTIVE, AMORTISED, BEST_FIXED, ORACLE, RANDOM, AdaptiveConfig
from reasoning_train.stages.adaptive_fits import fits
from reasoning_train.stages.evaluated import completed, publish, summarised
from reasoning_train.stages.few_readings import few_readings
from reasoning_train.store.inputs import read_problems
from reasoning_train.store.rows import Rows, write_rows

if TYPE_CHECKING:
    from data_gen.records.problem import Problem
    from reasoning_train.evaluation.adaptive import ByDifficulty, Fitted, Outcomes
    from reasoning_train.evaluation.few_samples import FewReading
    from reasoning_train.evaluation.strategy_tables import StrategyTables
    from reasoning_train.store.table_row import TableRow


@stage("adaptive", version=1, outputs={"table": "table"}, heavy=False)
def adaptive(config: AdaptiveConfig, ctx: Context) -> None:
    """Record the rows of the chosen strategies with all their columns, so that `claim` and `report` read them as any
    table."""
    from reasoning_train.evaluation.adaptive import cross_fitted
    from reasoning_train.evaluation.strategy_tables import StrategyTables

    source = ctx.input(config.problems)
    total = count_asked(read_problems(source), config.by, config.where, config.limit)
    asked = {one.id: one for one in restricted(read_problems(source), config.where, config.limit)}
    tables = StrategyTables.read(
        {name: ctx.input(ref).path for name, ref in config.sources.items()},
        config.strategies,
        {one.id for one in read_problems(source)},
    )
    readings = few_readings(config, ctx, asked)
    known = _verifiable(config, ctx, [asked[p] for p in asked if p in readings and tables.has(p)], total, tables)
    outcomes, read = _outcomes(config, ctx, known, tables), [readings[one.id] for one in known]
    fitted: dict[str, list[Fitted]] = {}
    wanted: dict[tuple[str, str], list[str]] = {}
    for name, rule in _rules(config, ctx, known, read):
        chosen, fitted[name] = cross_fitted(name, outcomes, rule)
        for one, s in zip(known, chosen, strict=True):
            wanted.setdefault((outcomes.strategies[s], one.id), []).append(name)
    rows = (row.to_row() for row in _rows(tables, wanted, readings))
    write_rows(ctx.output("table"), kind="table", rows=rows)
    _summarise(config, ctx, fitted, outcomes, read)


adaptive.complete(completed)
adaptive.check(fits)


@adaptive.estimate
def size(config: AdaptiveConfig, sizes: Sizes) -> dict[str, Any]:
    """A row of every kind for each problem and budget; nothing is generated."""
    problems = at_most(sizes(config.problems).get("rows"), config.limit)
    return {} if problems is None else {"rows": problems * len(config.row_names)}


def _verifiable(
    config: AdaptiveConfig, ctx: Context, shared: Sequence[Problem], total: int, tables: StrategyTables
) -> list[Problem]:
    """The problems whose outcome is known under every strategy. GateError if too many are missing or cannot be
    verified."""
    ctx.count("dropped.not_shared", total - len(shared))
    gate(
        len(shared) >= config.min_shared * total and bool(shared),
        f"adaptive: {len(shared)} of {total} problems have a row of every strategy and samples in the pool, fewer than "
        f"min_shared={config.min_shared:g}. Measure strategies and pool on the same problems, or lower `min_shared`.",
    )
    known = [one for one in shared if tables.verifiable(one.id)]
    check_verifiable("adaptive", ctx, len(shared) - len(known), len(shared), config.max_unverifiable)
    gate(bool(known), f"adaptive: none of the problems of {config.problems} can be verified.")
    ctx.count("dropped.unverifiable", len(shared) - len(known))
    return known


def _outcomes(config: AdaptiveConfig, ctx: Context, problems: Sequence[Problem], tables: StrategyTables) -> Outcomes:
    """What every strategy achieved. GateError if there are too few groups of problems to divide."""
    import numpy as np

    from reasoning_train.evaluation.adaptive import Outcomes
    from reasoning_train.evaluation.bins import folds_of

    folds = folds_of((one.group for one in problems), config.folds, ctx.seed)
    gate(
        len(folds) >= config.folds,
        f"adaptive.folds: the problems have {len(folds)} group{'s' if len(folds) > 1 else ''}, which cannot be dealt "
        f"to {config.folds} folds. Name more problems, or fewer folds.",
    )
    strategies = tuple(tables.results)
    found = np.array([[tables.results[name][one.id] for name in strategies] for one in problems], dtype=float)
    return Outcomes(strategies, found[:, :, 0], found[:, :, 1], np.array([folds[one.group] for one in problems]))


def _rules(
    config: AdaptiveConfig, ctx: Context, problems: Sequence[Problem], read: Sequence[FewReading]
) -> Iterator[tuple[str, ByDifficulty]]:
    """The rows, each with how it chooses."""
    import numpy as np

    from data_gen.engines.base import stream_seed
    from reasoning_train.evaluation.adaptive import ByDifficulty

    looks = np.array([-one.ease for one in read])
    by = {
        BEST_FIXED: np.zeros(len(read)),
        ADAPTIVE: looks,
        AMORTISED: looks,
        RANDOM: np.array([float(stream_seed(ctx.seed, "bin", one.id)) for one in problems]),
        ORACLE: np.array([-(one.pass_rate or 0.0) for one in read]),
    }
    fee = np.array([one.cost.generated + one.cost.scored for one in read])
    for suffix, budget in config.limits.items():
        for kind, difficulty in by.items():
            bins, charged = 1 if kind == BEST_FIXED else config.bins, fee if kind == ADAPTIVE else 0.0
            yield (
                kind + suffix,
                ByDifficulty(difficulty=difficulty, bins=bins, fee=charged, budget=budget, spend=config.spend),
            )


def _rows(
    tables: StrategyTables, wanted: Mapping[tuple[str, str], Sequence[str]], readings: Mapping[str, FewReading]
) -> Iterator[TableRow]:
    """The wanted rows of the strategies, (strategy, problem) -> names that they get."""
    from reasoning_train.evaluation.adaptive_rows import renamed

    for strategy, row in tables.rows(wanted):
        for name in wanted[strategy, row.problem_id]:
            kind = name.partition("@")[0]
            fee = readings[row.problem_id].cost if kind == ADAPTIVE else None
            yield renamed(row, name, strategy, fee=fee, oracle=kind == ORACLE, abstain=tables.abstain)


def _summarise(
    config: AdaptiveConfig,
    ctx: Context,
    fitted: Mapping[str, Sequence[Fitted]],
    outcomes: Outcomes,
    read: Sequence[FewReading],
) -> None:
    """Put accuracies with intervals, paired differences from `best fixed`, and the choices into the manifest."""
    from reasoning_train.evaluation.adaptive_rows import chosen_table, mean_cost
    from reasoning_train.evaluation.tables import group_tables

    summary = summarised(config, ctx, Rows(ctx.output("table")))
    said = {
        BEST_FIXED: f"one for all, {config.folds} folds",
        RANDOM: f"{config.bins} bins at random",
        ORACLE: f"{config.bins} bins by share right",
    }
    looks = f"{config.bins} bins by {config.estimate.by.uses} of {config.estimate.n}"
    summary["strategies"] = {row: said.get(row.partition("@")[0], looks) for row in fitted}
    summary["tried"] = {row: {"strategies": len(outcomes.strategies), **config.tried.get(row, {})} for row in fitted}
    cost = mean_cost([one.cost for one in read])
    fee = f"the estimate takes {cost['tokens']:.1f} tokens, charged to `{ADAPTIVE}` alone"
    publish(ctx, summary, lambda table: {**table, "title": f"{table['title']}; {fee}"})
    ctx.metric("estimate", cost)
    ctx.metric("chosen", {row: [one.to_json() for one in folds] for row, folds in fitted.items()})
    ctx.metric("by", [*group_tables(summary), chosen_table(fitted)])
