"""`evaluate`: policies on the same held-out problems, greedy and sampled or by a prompt program, with intervals and
paired differences."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Set
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from data_gen.engines.config import EngineConfig, TransformersConfig
from data_gen.programs import PromptProgram
from data_gen.records.problem import Problem
from data_gen.registry import Unkeyed
from data_gen.search.votes.majority import Majority
from reasoning_train.api.refs import ModelRef, Ref
from reasoning_train.api.stage import Context, Made, Sizes, at_most, stage
from reasoning_train.evaluation.groups import count_asked, restricted
from reasoning_train.stages.effort import uneven_effort
from reasoning_train.stages.evaluated import Evaluated, Measured, completed, finish_table, task_of
from reasoning_train.stages.programmed import OpenProgram, Programmed, open_program, program_fits
from reasoning_train.store.inputs import read_problems

if TYPE_CHECKING:
    from data_gen.engines.base import LM, Engine


class EvaluateConfig(Evaluated, Programmed):
    """Which policies are evaluated, by which program, with how many samples.

    A program other than `solve` has one run at `temperature` in place of the greedy solution. If it goes in turns, each
    policy has a row `NAME@k` besides: the answer after k turns, at their cost.
    """

    policies: dict[str, ModelRef] = Field(min_length=1)
    """Name in the table -> policy; differences are taken against the first."""
    samples: int = Field(0, ge=0)
    """Samples per problem for pass@k and maj@k. 0: greedy decoding only."""
    ks: list[int] = []
    """The k of pass@k and maj@k. Default: 1 and `samples`."""
    temperature: float = Field(1.0, ge=0)
    """Of samples, and of a program's run. 0 is greedy, for a program without samples."""
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int = Field(256, ge=1)
    conventions: Literal["policy", "task"] = "policy"
    """Whose prompt, marks and ways to find answers apply. `policy`: its own, with which it was trained and which must
    be the task's as well. `task`: the task's, whatever the policy's are, so that one model meets many benchmarks."""
    engine: Annotated[EngineConfig, Unkeyed()] = TransformersConfig()
    """The engine that runs the policy: `transformers` and `vllm` run in this process, `openai` calls a server."""

    @model_validator(mode="after")
    def _k_within_samples(self) -> EvaluateConfig:
        if any(not 1 <= k <= self.samples for k in self.ks):
            raise ValueError(f"ks: every k must lie in 1..samples={self.samples}, got {self.ks}")
        if not self.temperature and (self.samples or self.program.plain):
            raise ValueError("temperature: 0 draws equal samples; expected more than 0")
        if twice := sorted(name for name, n in Counter(self.row_names).items() if n > 1):
            raise ValueError(f"policies: {twice[0]!r} would name two rows of the table; give one another name")
        return self

    @property
    def other_conventions(self) -> Set[str]:
        """The policies, where the task's conventions apply."""
        return frozenset({"policies"} if self.conventions == "task" else ())

    @property
    def row_names(self) -> list[str]:
        """Rows of the table: the policies, each followed by what it says after fewer turns."""
        return list(self.arms)

    @property
    def arms(self) -> dict[str, list[Ref]]:
        """Every row has its policy."""
        return {row: [policy] for name, policy in self.policies.items() for row in rows_of(name, self.program)}

    @property
    def more(self) -> Measured:
        """The columns of the program."""
        return Measured(self.program.directions(), self.program.shares(), self.program.ratios())


def rows_of(name: str, program: PromptProgram) -> dict[str, int | None]:
    """Row of a policy -> the number of turns that it is allowed; None: all."""
    return {name: None} | {f"{name}@{turns}": turns for turns in program.stops}


Item = tuple[int, str, tuple[str, Problem]]
"""(order, key, (policy name, problem)): what `ctx.pending` hands out."""


@stage("evaluate", version=2, outputs={"table": "table"}, unit="problem", always=(Majority,))
def evaluate(config: EvaluateConfig, ctx: Context) -> None:
    """Record the rows of every policy and problem. Policies run one after another, so only one model is in memory."""
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
    yield from program_fits(config, made)


def _evaluate_policy(name: str, items: Iterator[Item], config: EvaluateConfig, ctx: Context) -> Iterator[int]:
    """Record the rows of one policy; yield the tokens generated so far after each row."""
    from reasoning_train.models.engine import open_engine
    from reasoning_train.models.policy_text import load_policy_text

    policy = load_policy_text(ctx.input(config.policies[name]).path)
    made, task = config.policies[name], task_of(config, ctx)
    if config.conventions == "task":
        policy = policy.under(task.format)
    with (
        open_engine(policy, config.engine, ctx) as engine,
        open_program(config, policy, made, task, ctx) as opened,
    ):
        yield from _run(engine, opened, name, items, config, ctx)


def _run(
    engine: Engine, opened: OpenProgram, name: str, items: Iterator[Item], config: EvaluateConfig, ctx: Context
) -> Iterator[int]:
    from data_gen.engines.base import Sampling
    from data_gen.engines.programs import run_programs
    from reasoning_train.evaluation.program_rows import EvaluatedRuns
    from reasoning_train.models.engine import Meter

    runner, meter, rows = opened.runner, Meter(engine.usage), rows_of(name, config.program)
    sampled = Sampling(max_tokens=config.max_tokens, temperature=config.temperature, top_p=config.top_p)
    greedy = Sampling(max_tokens=config.max_tokens, temperature=0.0)
    own, how = ("greedy", greedy) if config.program.plain else ("program", sampled)

    async def program(item: Item, lm: LM) -> list[dict[str, Any]]:
        problem = item[2][1]
        [best] = await runner.runs(problem, lm.at(own), range(1), how)
        drawn = await runner.runs(problem, lm.at("sampled"), range(config.samples), sampled) if config.samples else []
        found = EvaluatedRuns(problem, best, drawn, runner.task, config.program)
        return await asyncio.to_thread(lambda: [found.row(row, turns).to_row() for row, turns in rows.items()])

    width, others = config.engine.in_flight(config.samples), opened.engines
    # The key does not contain the policy's name: all policies use the same random numbers, which pairs the samples.
    for item, made in run_programs(
        engine, items, program, seed=ctx.seed, key=lambda i: i[2][1].id, in_flight=width, others=others
    ):
        tokens = meter.tell(ctx)
        opened.tell(ctx)
        ctx.record(item[0], item[1], made)
        yield tokens


@evaluate.estimate
def cost(config: EvaluateConfig, sizes: Sizes) -> dict[str, Any]:
    """Every policy on every problem, greedy and sampled, up to the token limit; one model in memory at a time."""
    from reasoning_train.process.memory import generation_bytes

    policies = [sizes(ref).get("parameters", 0) for ref in config.policies.values()]
    problems = at_most(sizes(config.problems).get("rows"), config.limit)
    result: dict[str, Any] = {"memory_bytes": generation_bytes(max(policies), config.engine)} if all(policies) else {}
    if problems is not None:
        records = problems * len(policies)
        calls = records * (1 + config.samples) * config.program.most_calls
        rows = problems * len(config.row_names)
        result |= {"records": records, "rows": rows, "calls": calls, "tokens": calls * config.max_tokens}
    return result


@evaluate.finish
def summarise(config: EvaluateConfig, ctx: Context, rows: Iterable[dict[str, Any]]) -> None:
    """Put accuracies with intervals and paired differences from the first policy into the manifest."""
    nothing = f"none of the problems of {config.problems} can be verified (no gold that the grader can read)."
    ks = config.ks or sorted({1, config.samples} - {0}) if config.samples else []
    finish_table("evaluate", config, ctx, rows, nothing=nothing, ks=ks)
