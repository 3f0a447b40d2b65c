"""Scores the pools of `evaluate_verifier` with a verifier's head or a policy's log-probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from data_gen.records.scales import Scale, convert, convertible
from data_gen.scorers.head import aggregated
from reasoning_train.api.stage import Context
from reasoning_train.evaluation.pools import Pool, Scored

if TYPE_CHECKING:
    from data_gen.format import StepCodec
    from reasoning_train.stages.evaluate_verifier import EvaluateVerifierConfig

Scores = Iterator[tuple[list[float], Scale]]
"""The scores of every pool, in order, with their scale."""


def scored_pools(name: str, config: EvaluateVerifierConfig, ctx: Context, pools: Sequence[Pool]) -> Iterator[Scored]:
    """Every pool with the scores of one verifier, as probabilities if the verifier's scale converts to them."""
    from reasoning_train.models.policy_text import load_policy_text

    codec = load_policy_text(ctx.input(config.policy).path).codec
    score = _by_head if name in config.verifiers else _by_likelihood
    for done, (pool, (scores, scale)) in enumerate(zip(pools, score(name, config, ctx, codec, pools), strict=True), 1):
        yield Scored(pool, scores, scale)
        ctx.progress(done, None)


def _by_head(
    name: str, config: EvaluateVerifierConfig, ctx: Context, codec: StepCodec, pools: Sequence[Pool]
) -> Scores:
    from data_gen.verifiers.checkpoint import load_verifier
    from reasoning_train.trainers.score import score_solutions

    verifier = load_verifier(ctx.input(config.verifiers[name]).path)
    verifier.format.check_same_task(codec.format, f"verifier {name!r}", "the policy")
    scale = verifier.head.config.scale
    wanted = Scale.P if convertible(scale, Scale.P) else scale
    for _, _, values in score_solutions(verifier, codec, ((pool.problem, pool.solutions) for pool in pools)):
        yield [convert(aggregated(each, config.aggregate), scale, wanted) for each in values], wanted


def _by_likelihood(
    name: str, config: EvaluateVerifierConfig, ctx: Context, codec: StepCodec, pools: Sequence[Pool]
) -> Scores:
    from reasoning_train.trainers.score import mean_logprobs

    given = ((pool.problem, pool.solutions) for pool in pools)
    for _, _, values in mean_logprobs(ctx.input(config.likelihoods[name]).path, codec, given):
        yield values, Scale.RANKING
