"""Scores the pools of `evaluate_verifier` with a verifier's head or a policy's log-probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data_gen.records.scales import Scale, convert, convertible
from data_gen.scorers.head import Aggregate, aggregated
from reasoning_train.evaluation.pools import Pool, Scored

if TYPE_CHECKING:
    from data_gen.format import StepCodec


def scored_by_head(
    folder: Path, name: str, aggregate: Aggregate, policy: StepCodec, pools: Sequence[Pool]
) -> Iterator[Scored]:
    """Every pool with the scores of the verifier in a folder, as probabilities if its scale converts to them. `policy`:
    the text conventions of the solutions."""
    from data_gen.verifiers.checkpoint import load_verifier
    from reasoning_train.trainers.score import score_solutions

    verifier = load_verifier(folder)
    verifier.format.check_same_task(policy.format, f"verifier {name!r}", "the policy")
    scale = verifier.head.config.scale
    wanted = Scale.P if convertible(scale, Scale.P) else scale
    found = score_solutions(verifier, policy, ((pool.problem, pool.solutions) for pool in pools))
    for pool, (_, _, values) in zip(pools, found, strict=True):
        yield Scored(pool, [convert(aggregated(each, aggregate), scale, wanted) for each in values], wanted)


def scored_by_likelihood(folder: Path, policy: StepCodec, pools: Sequence[Pool]) -> Iterator[Scored]:
    """Every pool with the mean log-probabilities of its solutions under the model in a folder."""
    from reasoning_train.trainers.score import mean_logprobs

    found = mean_logprobs(folder, policy, ((pool.problem, pool.solutions) for pool in pools))
    for pool, (_, _, values) in zip(pools, found, strict=True):
        yield Scored(pool, values, Scale.RANKING)
