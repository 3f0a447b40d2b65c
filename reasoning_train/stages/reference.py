"""`reference`: log-probabilities of both sides of every pair under a policy.

They are computed once, so that no trainer loads a second model.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from data_gen.records.labels import StepPair
from data_gen.registry import Unkeyed
from reasoning_train.api.refs import ModelRef, PairsRef
from reasoning_train.api.stage import Context, StageConfig, gate, rows_of, stage
from reasoning_train.process.memory.weights import SCORED, WeightBytes
from reasoning_train.store.rows import Rows
from reasoning_train.trainers.config import Precision
from reasoning_train.trainers.setup import use_bf16

if TYPE_CHECKING:
    from reasoning_train.packing.rows import Row
    from reasoning_train.trainers.objective import Objective
    from reasoning_train.trainers.outputs import Outputs


class ReferenceConfig(StageConfig):
    """Which policy scores which pairs."""

    pairs: PairsRef
    policy: ModelRef
    """The reference, usually the policy that DPO starts from."""
    precision: Precision = "auto"
    """Use the same as in the training that compares with it. Adapter training keeps the base weights in bfloat16 (or 4
    bits), so it starts a rounding error away from its reference."""
    micro_tokens: Annotated[int, Unkeyed()] = Field(8192, ge=1)
    """Maximum tokens in one forward pass."""

    def weight_bytes(self, deepspeed: str | None) -> WeightBytes:
        """The same as a trainer's forward pass."""
        return SCORED


@stage(
    "reference",
    version=1,
    outputs={"data": "pairs"},
    unit="problem",
    seeded=False,
    scores=True,
    carries="pairs",
    learns="labels",
)
def reference(config: ReferenceConfig, ctx: Context) -> None:
    """Pairs of one problem go through the model together, and their shared prefix only once. Pairs longer than the
    context are counted and dropped."""
    import torch

    from reasoning_train.models.policy import load_policy
    from reasoning_train.trainers.data.pairs import encode_pairs
    from reasoning_train.trainers.objective import Objective
    from reasoning_train.trainers.reading import count_read, pending_problems
    from reasoning_train.trainers.setup import pad_id

    source, policy = ctx.input(config.pairs), load_policy(ctx.input(config.policy).path, dtype=torch.float32)
    objective, done = Objective(policy.model, [], bf16=use_bf16(config.precision)).eval(), 0
    pairs, limit = (StepPair.from_row(row) for row in Rows(source.path)), policy.context
    for some in pending_problems(ctx, pairs, _tokens, config.micro_tokens):
        rows = [
            encode_pairs(one.records, policy.codec, limit, vocabulary=policy.vocabulary, first=one.first).rows
            for one in some
        ]
        every = [*itertools.chain.from_iterable(rows)]
        found = iter([*pair_logprobs(objective, every, pad_id(policy), config.micro_tokens)])
        for one, encoded in zip(some, rows, strict=True):
            fitting = [pair for pair in one.records if _longest(pair) <= limit]
            count_read(ctx, len(one.records), len(encoded))
            ctx.record(one.order, one.problem, [_referred(pair, next(found)).to_row() for pair in fitting])
        done += len(some)
        ctx.progress(done, None)


reference.estimate(rows_of("pairs"))


def _tokens(pair: StepPair) -> int:
    return len(pair.prompt_ids) + len(pair.chosen_ids) + len(pair.rejected_ids)


def _longest(pair: StepPair) -> int:
    return len(pair.prompt_ids) + max(len(pair.chosen_ids), len(pair.rejected_ids))


def _referred(pair: StepPair, sums: tuple[float, float]) -> StepPair:
    gate(
        all(map(math.isfinite, sums)),
        f"reference: problem {pair.problem_id!r}: the policy gives its pair log-probabilities of {sums}; "
        "expected finite numbers. Its weights are broken: train it again with a lower learning rate.",
    )
    return replace(pair, reference_chosen=sums[0], reference_rejected=sums[1])


def pair_logprobs(objective: Objective, rows: list[Row], pad: int, tokens: int) -> Iterator[tuple[float, float]]:
    """Summed log-probs (chosen, rejected) of every row, in order, in nats, with at most `tokens` tokens a pass."""
    from reasoning_train.trainers.reading import read_rows

    def both(out: Outputs) -> list[tuple[float, float]]:
        sums = out.trace_logprobs.tolist()
        return list(zip(sums[::2], sums[1::2], strict=True))

    return read_rows(objective, rows, pad, tokens, both)
