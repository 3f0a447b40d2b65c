"""`sample`: n graded solutions of every problem from a policy, or what n runs of a prompt program make of it.

drawn:   {uses: sample, policy: "${stages.base}", problems: "${task.explore}", n: 8}
refined: {uses: sample, policy: "${model}", problems: "${task.explore}", n: 2, calls: keep,
          program: {uses: self_refine, critic: judge}, models: {judge: "${stages.judge}"}}
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from data_gen.engines.config import EngineConfig, TransformersConfig
from data_gen.errors import excerpt
from data_gen.registry import Unkeyed
from reasoning_train.api.refs import ModelRef, ProblemsRef
from reasoning_train.api.stage import Context, Gate, Sizes, at_most, gate, stage
from reasoning_train.evaluation.cut import cut_warning
from reasoning_train.evaluation.verifiable import MOST_UNVERIFIABLE, MaxUnverifiable, check_verifiable
from reasoning_train.stages.programmed import OpenProgram, Programmed, open_program, program_fits
from reasoning_train.store.inputs import count_rows, load_task, read_problems, read_solutions, with_solutions

if TYPE_CHECKING:
    from data_gen.engines.base import LM, Engine
    from data_gen.records.problem import Problem
    from data_gen.records.solution import Solution


class SampleConfig(Programmed):
    """Which policy samples on which problems, and how."""

    policy: ModelRef
    problems: ProblemsRef
    n: int = Field(8, ge=1, le=1_000_000)
    """Samples of every problem: runs of the program, each of which may make several rows."""
    temperature: float = Field(1.0, ge=0)
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int = Field(256, ge=1)
    limit: int | None = Field(None, ge=1)
    """Use only the first N problems."""
    min_solved: Annotated[float | None, Gate()] = Field(None, ge=0, le=1)
    """The stage fails if a smaller share of the samples that can be verified is correct. Default: one sample must be.
    0: none need be, for a set that is meant to be hard."""
    max_unverifiable: MaxUnverifiable = MOST_UNVERIFIABLE
    """Largest share of problems whose gold may be missing or unreadable; above this share the stage stops. Problems of
    a task that names no answer (`fields: {answer: null}`) need none."""
    engine: Annotated[EngineConfig, Unkeyed()] = TransformersConfig()
    """The engine that runs the policy: `transformers` and `vllm` run in this process, `openai` calls a server."""


@stage("sample", version=1, outputs={"data": "solutions"}, unit="problem", grows="n")
def sample(config: SampleConfig, ctx: Context) -> None:
    """Record the samples of each problem as it finishes. Samples that an artifact with a smaller `n` has are taken over
    from there: sample i depends on nothing but its own random stream."""
    from reasoning_train.models.engine import open_engine
    from reasoning_train.models.policy_text import load_policy_text

    policy, task = load_policy_text(ctx.input(config.policy).path), load_task(ctx.input(config.problems))
    policy.format.check_same_task(
        policy.format.model_copy(update={"task": task.format}), f"policy {config.policy}", f"problems {config.problems}"
    )
    with (
        open_engine(policy, config.engine, ctx) as engine,
        open_program(config, policy, config.policy, task, ctx) as opened,
    ):
        _sample(engine, opened, config, ctx)


sample.check(program_fits)


def _sample(engine: Engine, opened: OpenProgram, config: SampleConfig, ctx: Context) -> None:
    from data_gen.engines.base import Sampling
    from data_gen.engines.programs import run_programs
    from reasoning_train.models.engine import Meter

    source, meter = ctx.input(config.problems), Meter(engine.usage)
    sampling = Sampling(max_tokens=config.max_tokens, temperature=config.temperature, top_p=config.top_p)

    async def program(item: tuple[int, str, Continued], lm: LM) -> list[Solution]:
        problem, known = item[2]
        runs = await opened.runner.runs(problem, lm, range(_runs_of(known), config.n), sampling)
        return [*known, *_numbered([row for run in runs for row in run.rows], len(known), opened)]

    total = count_rows(source, config.limit)
    pending = ctx.pending((problem.id, (problem, known)) for problem, known in _continued(config, ctx))
    for done, (item, solutions) in enumerate(
        run_programs(
            engine,
            pending,
            program,
            seed=ctx.seed,
            key=lambda i: i[1],
            in_flight=config.engine.in_flight(config.n),
            others=opened.engines,
        ),
        1,
    ):
        tokens = meter.tell(ctx)
        opened.tell(ctx)
        ctx.record(item[0], item[1], [s.to_row() for s in solutions])
        ctx.progress(done, total, tokens=tokens)


def _runs_of(known: list[Solution]) -> int:
    """The number of runs that made these rows."""
    return len({row.sample if row.run is None else row.run for row in known})


def _numbered(rows: list[Solution], first: int, opened: OpenProgram) -> list[Solution]:
    """The rows of a problem under numbers of their own; a plain program's samples have theirs."""
    if opened.runner.program.plain:
        return rows
    return [replace(row, sample=number) for number, row in enumerate(rows, first)]


Continued = tuple["Problem", list["Solution"]]
"""A problem with the samples that an earlier artifact has of it."""


def _continued(config: SampleConfig, ctx: Context) -> Iterator[Continued]:
    """The problems to sample on, each with its samples so far."""
    problems, found = itertools.islice(read_problems(ctx.input(config.problems)), config.limit), ctx.earlier()
    if found is None:
        yield from ((problem, []) for problem in problems)
        return
    n, drawn = found
    print(f"continues {n} samples of every problem", flush=True)
    yield from with_solutions(problems, read_solutions(drawn))


@sample.estimate
def cost(config: SampleConfig, sizes: Sizes) -> dict[str, Any]:
    """Every problem n times up to the token limit."""
    from reasoning_train.process.memory import generation_bytes

    policy, problems = sizes(config.policy).get("parameters"), at_most(sizes(config.problems).get("rows"), config.limit)
    result: dict[str, Any] = {"memory_bytes": generation_bytes(policy, config.engine)} if policy else {}
    if problems is not None:
        calls = problems * config.n * config.program.most_calls
        result |= {"records": problems, "rows": calls, "calls": calls, "tokens": calls * config.max_tokens}
    return result


@sample.finish
def check(config: SampleConfig, ctx: Context, rows: Iterable[dict[str, Any]]) -> None:
    """Record the pass rate, the share of cut completions and the share of right answers with a wrong step; check the
    gates."""
    seen = right = unverifiable = cut = checked = wrong_step = 0
    solved, first = set[str](), dict[str, str]()
    problems, unread = set[str](), set[str]()
    for row in rows:
        seen += 1
        if row["verdict"] not in first:
            said = (
                f"problem {row['problem_id']!r}, {excerpt(row['completion'])}, {row['finish']}, "
                f"{row['reason'] or 'no reason given'}"
            )
            first[row["verdict"]] = f" The first {row['verdict']} one: {said}."
        cut += row["finish"] == "length"
        for note in row["notes"] or ():
            ctx.count(f"program.{note}")
        problems.add(row["problem_id"])
        if row["verdict"] == "unverifiable":
            unread.add(row["problem_id"])
            unverifiable += 1
        if row["verdict"] == "correct":
            right += 1
            solved.add(row["problem_id"])
            checked += row["steps_ok"] is not None
            wrong_step += row["steps_ok"] is False
    ctx.count("out", seen)
    gate(seen > 0, f"sample: no rows; {config.problems} is empty.")
    ctx.metric("cut_share", cut / seen)
    if warning := cut_warning({"the samples": cut / seen}):
        ctx.metric("warning", warning)
    verifiable = seen - unverifiable
    if verifiable:
        ctx.metric("pass_rate", right / verifiable)
        ctx.metric("solved_problems", len(solved))
    if checked:  # the task has a step checker
        ctx.metric("wrong_step_share_of_correct", wrong_step / checked)
    hint = (
        "Raise n or temperature, use easier problems or a stronger policy."
        if cut < seen / 2
        else "Most samples were cut: raise max_tokens."
    )
    example = first.get("unverifiable", "")
    most = config.max_unverifiable if load_task(ctx.input(config.problems)).has_gold else 1.0
    check_verifiable("sample", ctx, len(unread), len(problems), most, example)
    rate = right / verifiable if verifiable else 0.0
    bar = "> 0" if config.min_solved is None else f">= min_solved={config.min_solved}"
    gate(
        verifiable > 0 or not config.min_solved,
        f"sample: no sample can be verified, so min_solved={config.min_solved} cannot be checked. Give problems with "
        "gold that the task's grader reads, or leave `min_solved` out.",
    )
    gate(
        not verifiable or (right > 0 if config.min_solved is None else rate >= config.min_solved),
        f"sample: {right} of {verifiable} samples are correct (pass rate {rate:.4f}, needed {bar}; {cut} were cut "
        f"by max_tokens={config.max_tokens}). {hint}{first.get('wrong') or first.get('unverifiable', '')}",
    )
