"""What stage `adaptive` refuses when a recipe loads."""

from __future__ import annotations

from collections.abc import Iterator

from data_gen.records.scales import Scale
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import Made, Maker, refs_of
from reasoning_train.evaluation.strategy_tables import strategy_problem
from reasoning_train.stages.adaptive_config import AdaptiveConfig
from reasoning_train.stages.evaluated import Evaluated
from reasoning_train.stages.fits import dependent_rows, heads, other_problems, table_rows

Misfit = tuple[str, str]


def fits(config: AdaptiveConfig, made: Made) -> Iterator[Misfit]:
    """Strategies are rows of the tables; tables and pool belong to these problems; the pool is large enough, has what
    the estimate reads, and is none that a strategy votes over."""
    rows = {name: table_rows(made, ref) for name, ref in config.sources.items()}
    yield from (("strategies", said) for one in config.strategies if (said := strategy_problem(one, rows)))
    for name, ref in config.sources.items():
        field = f"tables.{name}" if name else "table"
        for maker in made.makers(ref)[:1]:
            if isinstance(maker.config, Evaluated):
                yield from ((field, said) for said in _other_table(config, made, maker))
    pool = config.estimate.pool
    yield from (("estimate.pool", said) for said in other_problems(made, pool, config.problems))
    for maker in made.origins(pool):
        yield from ((f"estimate.{field}", said) for field, said in _pool_misfits(config, made, maker))
    if said := _voted_over(config, made):
        yield "estimate.pool", said


def _other_table(config: AdaptiveConfig, made: Made, maker: Maker) -> Iterator[str]:
    """Why a table was measured on other problems than this stage names."""
    there = maker.config
    mine, own = ({one.name for one in made.origins(ref)} for ref in (config.problems, there.problems))
    if mine and own and not mine & own:
        yield (
            f"{maker.name!r} was measured on {there.problems}, but `problems` here is {config.problems}. Give both the "
            "same problems."
        )
    elif there.where and there.where != config.where:
        yield f"{maker.name!r} was measured where {there.where}; give this stage the same `where`."
    elif there.limit and (config.limit is None or config.limit > there.limit):
        yield (
            f"{maker.name!r} was measured on the first {there.limit} problems; give this stage `limit: {there.limit}` "
            "or less."
        )


def _pool_misfits(config: AdaptiveConfig, made: Made, maker: Maker) -> Iterator[Misfit]:
    estimate = config.estimate
    if maker.uses == "sample":
        if why := dependent_rows(maker):
            yield "pool", why
        if estimate.n > maker.config.n:
            yield "n", f"{estimate.n}, but {maker.name!r} draws {maker.config.n} samples of a problem. Draw more."
        if estimate.by.reads_values:
            yield (
                "by",
                f"{estimate.by.uses!r} reads a verifier's values, and solutions of {maker.name!r} have none. Draw the "
                "pool by `search: {uses: best_of_n}` with a `scorer`.",
            )
    elif maker.uses == "search":
        yield from _search_misfits(config, made, maker)


def _search_misfits(config: AdaptiveConfig, made: Made, maker: Maker) -> Iterator[Misfit]:
    estimate, search = config.estimate, maker.config.search
    if not search.independent:
        yield (
            "pool",
            f"paths of a tree that {search.uses!r} grew are not independent samples. Draw them by "
            "`best_of_n` or `iid`.",
        )
    elif estimate.n > search.n:
        yield "n", f"{estimate.n}, but the pool of {maker.name!r} holds {search.n} paths. Draw a larger pool."
    if maker.config.gold:
        yield "pool", f"{maker.name!r} has `gold: true`, and an estimate may not see gold. Grow the pool without it."
    if estimate.by.reads_values and maker.config.scorer is None:
        yield "by", f"{estimate.by.uses!r} reads a verifier's values, and {maker.name!r} has no `scorer`."
    if estimate.by.reads_values and maker.config.verifier is not None:
        for verifier, head in heads(made, maker.config.verifier):
            if head and head.scale is Scale.RANKING:
                yield (
                    "by",
                    f"{estimate.by.uses!r} compares problems, but the scores of {verifier.name!r} rank the solutions "
                    "of one problem. Calibrate it, or use `by: agreement`.",
                )


def _voted_over(config: AdaptiveConfig, made: Made) -> str:
    """Why the estimate would share the luck of a strategy; empty if it does not."""
    few = _draws(made, config.estimate.pool)
    for ref in config.sources.values():
        for maker in made.makers(ref)[:1]:
            used = [one for inner in refs_of(maker.config) for one in _draws(made, inner)]
            if shared := next(((one, other) for one in few for other in used if _same_draws(one, other)), None):
                one, other = (each.name for each in shared)
                if one == other:
                    what = f"strategies of {maker.name!r} vote over the samples of {one!r}"
                else:
                    what = f"{one!r} draws with the policy and the seed of {other!r}, over which {maker.name!r} votes"
                return (
                    f"{what}, so that an estimate by them knows the luck of these draws. Draw a pool of its own, with "
                    "a seed of its own: `seed: {mix: few}`."
                )
    return ""


def _same_draws(one: Maker, other: Maker) -> bool:
    """Whether two stages draw the same samples, as far as both do."""
    if one.name == other.name:
        return True
    alike = one.uses == other.uses and one.seed == other.seed and one.config.policy == other.config.policy
    return alike and (one.uses == "sample" or (one.config.search.independent and other.config.search.independent))


def _draws(made: Made, ref: Ref) -> list[Maker]:
    """The stages that drew the samples behind a reference. A search that goes on from samples has theirs."""
    found = list[Maker]()
    for maker in made.origins(ref):
        if maker.uses == "search" and maker.config.solutions is not None:
            found += _draws(made, maker.config.solutions)
        elif maker.uses in ("sample", "search"):
            found.append(maker)
    return found
