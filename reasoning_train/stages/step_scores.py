"""Scores the steps of solutions with the scorers of `evaluate_steps`."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data_gen.errors import UserError
from data_gen.records.prefix import Prefix
from data_gen.records.scales import Scale, check, convert, convertible
from data_gen.records.segment import Kind, Segment
from data_gen.scorers.base import Scorer
from reasoning_train.models.engine import open_engine
from reasoning_train.stages.searching import open_policy, tools_of

if TYPE_CHECKING:
    from data_gen.engines.base import LM
    from data_gen.format import StepCodec
    from reasoning_train.api.stage import Context
    from reasoning_train.evaluation.first_error_tables import Marked
    from reasoning_train.stages.evaluate_steps_config import EvaluateStepsConfig


@dataclass(frozen=True, slots=True)
class StepScores:
    """What one scorer says of every solution."""

    scale: Scale
    """P if the scorer's scale converts to it."""
    values: list[list[float]]
    """A value per step, per solution."""
    tokens: list[int]
    """Tokens that each solution cost."""


Said = dict[str, tuple[list[float], int]]
"""Scorer -> (value of every step of one solution, tokens)."""


@dataclass(frozen=True, slots=True)
class Judges:
    """The opened scorers over one engine."""

    engine: Any
    codec: StepCodec
    scorers: Mapping[str, Scorer]
    in_flight: int
    seed: int

    def score(self, marked: Sequence[Marked], part: str, ctx: Context) -> dict[str, StepScores]:
        """Every scorer's values for all solutions. `part`: what the solutions are (`dev`, `test`); their random streams
        differ."""
        from data_gen.engines.programs import run_programs

        def name(item: tuple[int, Marked]) -> str:
            return f"{part}/{item[1].problem.id}#{item[1].solution.sample}"

        found: dict[int, Said] = {}
        streams = run_programs(
            self.engine, enumerate(marked), self._one, seed=self.seed, key=name, in_flight=self.in_flight
        )
        for done, ((i, _), said) in enumerate(streams, 1):
            found[i] = said
            ctx.progress(done, len(marked))
        whole = [found[i] for i in range(len(marked))]
        return {
            scorer: StepScores(
                _common(self.scorers[scorer].scale),
                [said[scorer][0] for said in whole],
                [said[scorer][1] for said in whole],
            )
            for scorer in self.scorers
        }

    async def _one(self, item: tuple[int, Marked], lm: LM) -> Said:
        """One solution, judged by all scorers side by side. All its steps are given at once, so that a scorer which
        reads whole solutions reads it once."""
        prefixes = prefixes_of(item[1], self.codec)
        scores = await asyncio.gather(*(one(prefixes, lm.at(name)) for name, one in self.scorers.items()))
        said: Said = {}
        for (name, scorer), own in zip(self.scorers.items(), scores, strict=True):
            common = _common(scorer.scale)
            values = [convert(check(score.value, scorer.scale, name), scorer.scale, common) for score in own]
            drawn = (rollout.sample for score in own for rollout in score.rollouts)
            said[name] = values, sum(score.tokens for score in own) + sum(len(one.token_ids) for one in drawn)
        return said


def prefixes_of(one: Marked, codec: StepCodec) -> list[Prefix]:
    """The partial solutions that end with each step. Text without ids of this policy is encoded; steps stay as they
    are, whatever delimiters they hold."""
    solution, prompt = one.solution, tuple(codec.prompt_ids(one.problem.question))
    if solution.prompt_ids and solution.prompt_ids != prompt:
        raise UserError(
            f"solutions: those of problem {one.problem.id!r} continue another prompt than this policy's. Put stage "
            "`recode_solutions` before this one, with `model:` this policy."
        )
    segments = solution.segments if solution.token_ids else codec.encode(solution.segments, end=False)
    lengths = list(itertools.accumulate(len(segment.token_ids) for segment in segments))
    ends = [length for length, segment in zip(lengths, segments, strict=True) if segment.kind is Kind.STEP]
    ids = tuple(token for segment in segments for token in segment.token_ids)
    return [_prefix(one, prompt, ids, segments, ends[: i + 1]) for i in range(len(ends))]


def _prefix(
    one: Marked, prompt: tuple[int, ...], ids: tuple[int, ...], segments: Iterable[Segment], ends: Sequence[int]
) -> Prefix:
    steps = tuple(segment.text.strip() for segment in segments if segment.kind is Kind.STEP)[: len(ends)]
    return Prefix(
        problem=one.problem,
        prompt_ids=prompt,
        token_ids=ids[: ends[-1]],
        ends=tuple(end - 1 for end in ends),
        cuts=tuple(ends),
        read=lambda: (steps, ""),
        ended=False,
    )


def _common(scale: Scale) -> Scale:
    return Scale.P if convertible(scale, Scale.P) else scale


@contextmanager
def open_judges(config: EvaluateStepsConfig, ctx: Context) -> Iterator[Judges]:
    """Load the policy and all that the scorers read. UserError if the policy's or a verifier's Format differs from the
    problems'."""
    policy, grader = open_policy(config.policy, config.problems, ctx)
    gold = grader if config.gold else None
    scorers = {
        name: one.scorer.open(tools_of(ctx, policy, config.policy, one.verifier, gold))
        for name, one in config.scorers.items()
    }
    with open_engine(policy, config.engine, ctx) as engine:
        yield Judges(engine, policy.codec, scorers, config.engine.in_flight(1), ctx.seed)
