"""The few samples of a problem by which its difficulty is estimated, and what they cost."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from data_gen.engines.base import stream_seed
from data_gen.errors import UserError
from data_gen.records.scales import Scale, as_weight
from data_gen.records.solution import Solution
from data_gen.records.trees import Tree, TreeNode
from data_gen.search.votes.base import ClassOf
from reasoning_train.evaluation.difficulty import Difficulty, FewSamples
from reasoning_train.evaluation.vote_costs import Cost, dead_ends, final_paths, tokens_of
from reasoning_train.store.table_row import numbered


@dataclass(frozen=True, slots=True, kw_only=True)
class FewReading:
    """What an estimate says of one problem: `FewReading(ease=0.75, pass_rate=0.5, cost=Cost(96.0, 0.0, 4.0))`."""

    ease: float
    """Higher is easier. It comes from the few samples, without gold."""
    pass_rate: float | None
    """Share of the whole pool that is right, for `oracle bins` only. None if no sample can be verified."""
    cost: Cost
    """Of the few samples: tokens drawn, tokens that a verifier reads, and completions."""


def read_tree(tree: Tree, class_of: ClassOf, n: int, by: Difficulty) -> FewReading:
    """The estimate from n of a tree's independent paths. UserError if it has fewer, or if values mean something within
    one problem only."""
    if by.reads_values and tree.scale == Scale.RANKING:
        raise UserError(
            f"estimate.by: {by.uses!r} compares problems, but the values of the tree of {tree.problem_id!r} are on the "
            "scale 'ranking' and order the samples of one problem only. Calibrate the verifier, or use `by: agreement`."
        )
    paths = [*final_paths(tree), *dead_ends(tree)]
    drawn = [paths[i] for i in few_of(len(paths), n, tree.problem_id)]
    samples = FewSamples(
        problem_id=tree.problem_id,
        classes=numbered([leaf.answer if leaf.terminal == "answer" else None for leaf in drawn], class_of),
        values=tuple(_values(tree, leaf) for leaf in drawn),
        logprobs=tuple(_mean_logprob(tree, leaf) for leaf in drawn),
    )
    return FewReading(
        ease=by.ease(samples), pass_rate=_share(leaf.outcome for leaf in paths), cost=_cost(tree, paths, drawn, by)
    )


def read_samples(solutions: Sequence[Solution], class_of: ClassOf, n: int, by: Difficulty) -> FewReading:
    """The estimate from n of a problem's sampled solutions, which no verifier has read. UserError if there are
    fewer."""
    problem_id = solutions[0].problem_id if solutions else ""
    drawn = [solutions[i] for i in few_of(len(solutions), n, problem_id)]
    logprobs = [[*map(float, one.logprobs)] for one in drawn]
    samples = FewSamples(
        problem_id=problem_id,
        classes=numbered([one.answer for one in drawn], class_of),
        values=((None,),) * n,
        logprobs=tuple(sum(found) / len(found) if found else None for found in logprobs),
    )
    outcomes = {"correct": 1.0, "wrong": 0.0}
    return FewReading(
        ease=by.ease(samples),
        pass_rate=_share(outcomes.get(one.verdict) for one in solutions),
        cost=Cost(float(sum(len(one.token_ids) for one in drawn)), 0.0, float(n)),
    )


def few_of(size: int, n: int, problem_id: str) -> list[int]:
    """Which n of a pool's `size` paths are the few samples: a draw that depends on the problem alone. UserError if the
    pool is smaller."""
    if size < n:
        raise UserError(
            f"estimate.n is {n}, but the pool of {problem_id!r} holds {size} samples. Draw a larger pool, or lower `n`."
        )
    return sorted(random.Random(stream_seed(0, problem_id, "estimate", n)).sample(range(size), n))


def _values(tree: Tree, leaf: TreeNode) -> tuple[float | None, ...]:
    steps, scale = tree.path(leaf), Scale(tree.scale)
    return tuple(None if step.value is None else as_weight(step.value, scale) for step in steps)


def _mean_logprob(tree: Tree, leaf: TreeNode) -> float | None:
    known = [step.logprob for step in tree.path(leaf) if step.logprob is not None]
    tokens = tokens_of(tree, leaf)
    return sum(known) / tokens if tokens and len(known) == len(tree.path(leaf)) else None


def _share(outcomes: Iterable[float | None]) -> float | None:
    known = [outcome for outcome in outcomes if outcome is not None]
    return sum(known) / len(known) if known else None


def _cost(tree: Tree, paths: Sequence[TreeNode], drawn: Sequence[TreeNode], by: Difficulty) -> Cost:
    """The drawn paths. Where values are read, also their share of what a verifier read, and of the rollouts that a
    scorer drew."""
    own = float(sum(tokens_of(tree, leaf) for leaf in drawn))
    if not by.reads_values:
        return Cost(own, 0.0, float(len(drawn)))
    share = len(drawn) / len(paths)
    rollouts = tree.generated_tokens - sum(tokens_of(tree, leaf) for leaf in paths)
    return Cost(own + share * rollouts, share * tree.scored_tokens, share * max(tree.requests, len(paths)))
