"""Reads the pool of stage `adaptive`: what the estimate says of every problem, and what it costs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from data_gen.errors import UserError
from data_gen.search import SEARCHES
from reasoning_train.api.stage import Context
from reasoning_train.stages.adaptive_config import AdaptiveConfig
from reasoning_train.stages.evaluated import task_of
from reasoning_train.store.inputs import read_solutions, stream_trees

if TYPE_CHECKING:
    from data_gen.records.problem import Problem
    from data_gen.records.trees import Tree
    from data_gen.tasks import Task
    from reasoning_train.evaluation.few_samples import FewReading


def few_readings(config: AdaptiveConfig, ctx: Context, asked: Mapping[str, Problem]) -> dict[str, FewReading]:
    """Problem -> estimate, of the problems that have samples. Only one problem's samples are in memory.

    Raises:
        UserError: A pool is too small, its paths are not independent, or it lacks what the estimate reads.
    """
    pool, task = ctx.input(config.estimate.pool), task_of(config, ctx)
    read = _of_solutions if pool.kind == "solutions" else _of_trees
    return dict(read(config, ctx, asked, task))


def _of_solutions(
    config: AdaptiveConfig, ctx: Context, asked: Mapping[str, Problem], task: Task
) -> Iterator[tuple[str, FewReading]]:
    from reasoning_train.evaluation.few_samples import read_samples
    from reasoning_train.evaluation.votes import classes_of

    estimate = config.estimate
    found = read_solutions(ctx.input(estimate.pool))
    for problem_id, group in itertools.groupby(found, key=lambda one: one.problem_id):
        if problem_id in asked:
            own = [*group]
            class_of = classes_of(task, asked[problem_id], (one.answer for one in own))
            yield problem_id, read_samples(own, class_of, estimate.n, estimate.by)


def _of_trees(
    config: AdaptiveConfig, ctx: Context, asked: Mapping[str, Problem], task: Task
) -> Iterator[tuple[str, FewReading]]:
    from reasoning_train.evaluation.few_samples import read_tree
    from reasoning_train.evaluation.votes import answers_in, classes_of

    estimate = config.estimate
    for tree in stream_trees(ctx.input(estimate.pool)):
        if tree.problem_id in asked and tree.sample == 0:
            _check_tree(tree)
            class_of = classes_of(task, asked[tree.problem_id], answers_in([tree]))
            yield tree.problem_id, read_tree(tree, class_of, estimate.n, estimate.by)


def _check_tree(tree: Tree) -> None:
    if not SEARCHES.get(tree.search).independent:
        raise UserError(
            f"estimate.pool: paths of a tree that {tree.search!r} grew are not independent samples. Draw the pool by "
            "`best_of_n` or `iid`."
        )
    if tree.oracle:
        raise UserError(
            f"estimate.pool: gold was used while the tree of {tree.problem_id!r} grew, and an estimate may not see it. "
            "Grow the pool without `gold: true`."
        )
