"""`search`: grows search trees on problems, many trees at a time over one engine.

Each algorithm is one file of data_gen/search/algorithms.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from data_gen.records.problem import Problem
from data_gen.records.solution import Solution
from reasoning_train.api.stage import Context, Sizes, at_most, gate, stage
from reasoning_train.stages.search_config import SearchConfig, fits
from reasoning_train.store.inputs import count_rows, read_problems, read_solutions, with_solutions

if TYPE_CHECKING:
    from data_gen.engines.base import LM
    from data_gen.records.trees import Tree
    from reasoning_train.stages.searching import Grower


@stage("search", version=1, outputs={"trees": "trees"}, unit="problem")
def search(config: SearchConfig, ctx: Context) -> None:
    """Record each tree as it finishes."""
    from reasoning_train.stages.searching import open_grower

    with open_grower(config, ctx) as grower:
        _grow(grower, config, ctx)


search.check(fits)


def _grow(grower: Grower, config: SearchConfig, ctx: Context) -> None:
    from data_gen.engines.programs import run_programs
    from reasoning_train.models.engine import Meter

    if config.solutions:
        deque(_paired(config, ctx), maxlen=0)  # fail on a mismatch before hours of work, not after
    meter = Meter(grower.engine.usage)
    total = count_rows(ctx.input(config.problems), config.limit) * config.trees

    async def program(item: Item, lm: LM) -> Tree | None:
        problem, sample, given = item[2]
        return await grower.grow(problem, sample, lm, given)

    # The trees of one problem share its prefix in one engine.
    pending = ctx.pending(_items(config, ctx), group_size=config.trees)
    grown = run_programs(grower.engine, pending, program, seed=ctx.seed, key=lambda i: i[1], in_flight=grower.in_flight)
    for done, (item, tree) in enumerate(grown, 1):
        tokens = meter.tell(ctx)
        if tree is None:
            ctx.count("dropped.question_too_long")
        ctx.record(item[0], item[1], tree.to_rows() if tree else [])
        ctx.progress(done, total, tokens=tokens)


Work = tuple[Problem, int, list[Solution]]
"""(problem, number of the tree, solutions to start with)."""
Item = tuple[int, str, Work]
"""(order, key, work): what `ctx.pending` hands out."""


def _paired(config: SearchConfig, ctx: Context) -> Iterator[tuple[Problem, list[Solution]]]:
    problems = itertools.islice(read_problems(ctx.input(config.problems)), config.limit)
    return with_solutions(problems, read_solutions(ctx.input(config.solutions)) if config.solutions else ())


def _items(config: SearchConfig, ctx: Context) -> Iterator[tuple[str, Work]]:
    for problem, given in _paired(config, ctx):
        for sample in range(config.trees):
            yield f"{problem.id}#{sample}", (problem, sample, given)


@search.estimate
def cost(config: SearchConfig, sizes: Sizes) -> dict[str, Any]:
    """Every tree up to its budget, every sample up to the token limit, every node scored."""
    from reasoning_train.process.memory import generation_bytes

    policy, problems = sizes(config.policy).get("parameters"), at_most(sizes(config.problems).get("rows"), config.limit)
    result: dict[str, Any] = {"memory_bytes": generation_bytes(policy, config.engine)} if policy else {}
    if problems is not None:
        trees, draws = problems * config.trees, config.search.draws()
        # The root is scored as well.
        samples, tokens = ((draws + 1) * n for n in (config.scorer.draws() if config.scorer else (0, 0)))
        calls = trees * (draws + samples)
        result |= {
            "records": trees,
            "rows": calls + trees,
            "calls": calls,
            "tokens": trees * (config.search.tokens() + tokens),
        }
    return result


@search.finish
def summarise(config: SearchConfig, ctx: Context, rows: Iterable[dict[str, Any]]) -> None:
    """Put a summary of the trees into the manifest; check the gates."""
    from data_gen.records.trees import read_trees
    from reasoning_train.evaluation.cut import CutCount, cut_warning
    from reasoning_train.evaluation.trees import summarise_trees

    count = CutCount()
    summary, table = summarise_trees(count.counting(read_trees(rows)))
    if warning := cut_warning({"the ends": count.share}, "max_depth, max_length or max_tokens"):
        table["title"] += f". Warning: {warning}"
    gate(
        summary["trees"] > 0,
        f"search: no trees; {config.problems} is empty or every question is longer than the context.",
    )
    ctx.count("out", summary["trees"])
    ctx.metric("trees", summary)
    ctx.metric("cut_share", count.share)
    ctx.metric("table", table)
    solved = summary.get("solved")
    gate(
        solved is not None or not config.min_solved,
        f"search: no end of the trees can be verified, so min_solved={config.min_solved} cannot be checked. Give "
        "problems with gold that the task's grader reads, or leave `min_solved` out.",
    )
    gate(
        solved is None or solved >= config.min_solved,
        f"search: {solved or 0.0:.4f} of the trees hold a right answer, fewer than min_solved={config.min_solved}. "
        "Raise the budget or temperature, use easier problems or a stronger policy.",
    )
