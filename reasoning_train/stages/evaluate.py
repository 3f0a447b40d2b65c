"""`evaluate`: policies on the same held-out problems, greedy and sampled, with intervals and paired differences."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from data_gen.engines.config import EngineConfig, TransformersConfig
from data_gen.records.problem import Problem
from data_gen.records.solution import Solution
from data_gen.registry import Unkeyed
from data_gen.search.votes.majority import Majority
from reasoning_train.api.refs import ModelRef, Ref
from reasoning_train.api.stage import Context, Made, Sizes, at_most, stage
from reasoning_train.evaluation.groups import count_asked, restricted
from reasoning_train.stages.effort import uneven_effort
from reasoning_train.stages.evaluated import Evaluated, completed, finish_table, task_of
from reasoning_train.store.inputs import read_problems

if TYPE_CHECKING:
    from data_gen.engines.base import LM, Engine
    from data_gen.format import StepCodec
    from data_gen.tasks import Task


class EvaluateConfig(Evaluated):
    """Which policies are evaluated, with how many samples."""

    policies: dict[str, ModelRef] = Field(min_length=1)
    """Name in the table -> policy; differences are taken against the first."""
    samples: int = Field(0, ge=0)
    """Samples per problem for pass@k and maj@k. 0: greedy decoding only."""
    ks: list[int] = []
    """The k of pass@k and maj@k. Default: 1 and `samples`."""
    temperature: float = Field(1.0, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int = Field(256, ge=1)
    engine: Annotated[EngineConfig, Unkeyed()] = TransformersConfig()
    """The engine that runs the policy: `transformers` and `vllm` run in this process, `openai` calls a server."""

    @model_validator(mode="after")
    def _k_within_samples(self) -> EvaluateConfig:
        if any(not 1 <= k <= self.samples for k in self.ks):
            raise ValueError(f"ks: every k must lie in 1..samples={self.samples}, got {self.ks}")
        return self

    @property
    def row_names(self) -> list[str]:
        """Rows of the table: the policies."""
        return list(self.policies)

    @property
    def arms(self) -> dict[str, list[Ref]]:
        """Every row has its policy."""
        return {name: [policy] for name, policy in self.policies.items()}


Item = tuple[int, str, tuple[str, Problem]]
"""(order, key, (policy name, problem)): what `ctx.pending` hands out."""


@stage("evaluate", version=2, outputs={"table": "table"}, unit="problem", always=(Majority,))
def evaluate(config: EvaluateConfig, ctx: Context) -> None:
    """Record one row per policy and problem. Policies run one after another, so only one model is in memory."""
    source, done = ctx.input(config.problems), itertools.count(1)
    total = count_asked(read_problems(source), config.by, config.where, config.limit) * len(config.policies)
    pairs = itertools.product(config.policies, restricted(read_problems(source), config.where, config.limit))
    pending = ctx.pending((f"{name}/{problem.id}", (name, problem)) for name, problem in pairs)
    before = tokens = 0
    for name, items in itertools.groupby(pending, key=lambda item: item[2][0]):
        for tokens in _evaluate_policy(name, items, config, ctx):
            ctx.progress(next(done), total, tokens=before + tokens)
        before += tokens


evaluate.complete(completed)


@evaluate.check
def fits(config: EvaluateConfig, made: Made) -> Iterator[tuple[str, str]]:
    """Tuned arms were chosen from the same number of candidates."""
    if said := uneven_effort(made, config.arms):
        yield "policies", said


def _evaluate_policy(name: str, items: Iterator[Item], config: EvaluateConfig, ctx: Context) -> Iterator[int]:
    """Record the rows of one policy; yield the tokens generated so far after each row."""
    from reasoning_train.models.engine import open_engine
    from reasoning_train.models.policy_text import load_policy_text

    policy = load_policy_text(ctx.input(config.policies[name]).path)
    with open_engine(policy, config.engine, ctx) as engine:
        yield from _run(engine, policy.codec, name, items, config, ctx)


def _run(
    engine: Engine, codec: StepCodec, name: str, items: Iterator[Item], config: EvaluateConfig, ctx: Context
) -> Iterator[int]:
    from data_gen.engines.base import Sampling
    from data_gen.engines.programs import run_programs
    from data_gen.programs.solve import solve
    from reasoning_train.models.engine import Meter

    task, meter = task_of(config, ctx), Meter(engine.usage)
    greedy = Sampling(max_tokens=config.max_tokens, temperature=0.0)
    sampled = Sampling(max_tokens=config.max_tokens, temperature=config.temperature, top_p=config.top_p)

    async def program(item: Item, lm: LM) -> dict[str, Any]:
        problem = item[2][1]
        [best] = await solve(problem, lm.at("greedy"), 1, greedy, codec, task)
        drawn = await solve(problem, lm.at("sampled"), config.samples, sampled, codec, task) if config.samples else []
        return await asyncio.to_thread(_row, name, problem, best, drawn, task)

    width = config.engine.in_flight(config.samples)
    # The key does not contain the policy's name: all policies use the same random numbers, which pairs the samples.
    for item, row in run_programs(engine, items, program, seed=ctx.seed, key=lambda i: i[2][1].id, in_flight=width):
        tokens = meter.tell(ctx)
        ctx.record(item[0], item[1], [row])
        yield tokens


def _row(name: str, problem: Problem, best: Solution, drawn: list[Solution], task: Task) -> dict[str, Any]:
    from reasoning_train.evaluation.votes import classes_of
    from reasoning_train.store.table_row import TableRow, of_problem, of_samples

    return TableRow(
        policy=name,
        strategy="greedy",
        **of_problem(problem),
        verdict=str(best.verdict),
        accuracy=None if best.verdict == "unverifiable" else float(best.verdict == "correct"),
        cut=float(best.finish == "length"),
        steps_ok=best.steps_ok,
        answer=best.answer,
        tokens=len(best.token_ids),
        measures=task.measure(problem, best),
        solution=best.text,
        sampled_solutions=tuple(one.text for one in drawn),
        **of_samples(drawn, classes_of(task, problem, (one.answer for one in drawn))),
    ).to_row()


@evaluate.estimate
def cost(config: EvaluateConfig, sizes: Sizes) -> dict[str, Any]:
    """Every policy on every problem, greedy and sampled, up to the token limit; one model in memory at a time."""
    from reasoning_train.process.memory import generation_bytes

    policies = [sizes(ref).get("parameters", 0) for ref in config.policies.values()]
    problems = at_most(sizes(config.problems).get("rows"), config.limit)
    result: dict[str, Any] = {"memory_bytes": generation_bytes(max(policies), config.engine)} if all(policies) else {}
    if problems is not None:
        records = problems * len(policies)
        calls = records * (1 + config.samples)
        result |= {"records": records, "rows": records, "calls": calls, "tokens": calls * config.max_tokens}
    return result


@evaluate.finish
def summarise(config: EvaluateConfig, ctx: Context, rows: Iterable[dict[str, Any]]) -> None:
    """Put accuracies with intervals and paired differences from the first policy into the manifest."""
    nothing = f"none of the problems of {config.problems} can be verified (no gold that the grader can read)."
    ks = config.ks or sorted({1, config.samples} - {0}) if config.samples else []
    finish_table("evaluate", config, ctx, rows, nothing=nothing, ks=ks)
