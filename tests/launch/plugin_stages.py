"""Small stages for tests of the runner; imported by workers through REASONING_TRAIN_PLUGINS."""

from __future__ import annotations

import os
import random
import resource
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from data_gen.engines.base import LM, Sample, Sampling
from data_gen.engines.programs import run_programs
from data_gen.engines.scripted import ScriptedEngine
from data_gen.errors import UserError
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from data_gen.records.verdict import Verdict
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import Context, StageConfig, gate, stage
from reasoning_train.store.rows import Rows, write_rows

NAME = __name__


class NumbersConfig(StageConfig):
    """How many numbers, and how long each takes."""

    n: int
    sleep_s: float = 0.0


@stage("t_numbers", version=1, outputs={"data": "t_rows"}, unit="problem", heavy=False)
def numbers(config: NumbersConfig, ctx: Context) -> None:
    """Two rows a number, drawn from a stream of the number's own."""
    if "TEST_FILE_LIMIT" in os.environ:  # this worker's disk is full from here on
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(os.environ["TEST_FILE_LIMIT"]),) * 2)
    for done, (order, key, item) in enumerate(ctx.pending((f"p{i}", i) for i in range(config.n))):
        draw = random.Random(f"{ctx.seed}/{item}")
        time.sleep(config.sleep_s)
        ctx.count("tokens.generated", item)
        ctx.record(
            order,
            key,
            [{"id": key, "position": at, "value": draw.random(), "ids": list(range(item % 3))} for at in range(2)],
        )
        ctx.progress(done + 1, config.n)


@numbers.finish
def numbers_end(config: NumbersConfig, ctx: Context, rows: Iterable[dict[str, Any]]) -> None:
    """The sum, and a gate on negative values that never closes."""
    total = sum(row["value"] for row in rows)
    ctx.metric("sum", total)
    gate(total >= 0, "sum is negative")


@stage("t_uneven", version=1, outputs={"data": "t_rows"}, unit="problem", heavy=False)
def uneven(config: NumbersConfig, ctx: Context) -> None:
    """The first shard is done at once, the others take their time."""
    for order, key, item in ctx.pending((f"p{i}", i) for i in range(config.n)):
        time.sleep(0.5 if ctx.shard[0] else 0.0)
        ctx.record(order, key, [{"id": key, "position": 0, "value": float(item), "ids": []}])


class SquareConfig(StageConfig):
    """Squares another stage's values."""

    data: Ref
    slow_s: float = 0.0
    note: str = ""


@stage("t_square", version=1, outputs={"data": "t_rows", "extra": "table"}, heavy=False)
def square(config: SquareConfig, ctx: Context) -> None:
    """One row per input row."""
    rows = [{**row, "value": row["value"] ** 2} for row in Rows(ctx.input(config.data).path)]
    time.sleep(config.slow_s)
    write_rows(ctx.output("data"), "t_rows", rows)
    (ctx.output("extra") / "note.txt").write_text(config.note, encoding="utf-8")
    ctx.history(step=1, loss=0.5)


class FailConfig(StageConfig):
    """How to fail."""

    data: Ref | None = None
    how: str = "user"


@stage("t_fail", version=1, outputs={"data": "t_rows"}, heavy=False)
def fail(config: FailConfig, ctx: Context) -> None:
    """Raises."""
    if config.how == "user":
        raise UserError("the answer column is missing; set task.answer")
    raise ZeroDivisionError("inside the stage")


class TorchConfig(StageConfig):
    """Needs torch."""

    data: Ref | None = None
    tag: int = 0


@stage("t_torch", version=1, outputs={"data": "t_rows"})
def torch_stage(config: TorchConfig, ctx: Context) -> None:
    """A small matrix product, with the threads that it was given."""
    imported, began = "torch" not in sys.modules, time.perf_counter()
    import torch

    value = float((torch.ones(64, 64) @ torch.ones(64, 64)).sum())
    ctx.metric("threads", torch.get_num_threads())
    ctx.metric("imported_torch", imported)
    ctx.metric("own_s", time.perf_counter() - began)
    write_rows(ctx.output("data"), "t_rows", [{"value": value, "tag": config.tag}])


class ScriptedConfig(StageConfig):
    """How many problems."""

    n: int


@stage("t_scripted", version=1, outputs={"data": "solutions"}, unit="problem", heavy=False)
def scripted(config: ScriptedConfig, ctx: Context) -> None:
    """Two solutions of 40 tokens a problem, as `sample` makes them, but from a script."""
    engine = ScriptedEngine(lambda prefix, seed: [seed % 97 + i for i in range(40)])

    async def program(item: tuple[int, str, int], lm: LM) -> list[Solution]:
        return [
            _solution(item[1], at, one)
            for at, one in enumerate(await lm.generate((1, 2, 3), 2, Sampling(max_tokens=64)))
        ]

    pending = ctx.pending((f"task/train/{i}", i) for i in range(config.n))
    for item, solutions in run_programs(
        engine, pending, program, seed=ctx.seed, key=lambda item: item[1], in_flight=256
    ):
        ctx.record(item[0], item[1], [solution.to_row() for solution in solutions])
        ctx.progress(item[0], config.n)


def _solution(problem: str, index: int, drawn: Sample) -> Solution:
    step = Segment(kind=Kind.STEP, text="Ben: 12 + 5 = 17\n" * 4, token_ids=drawn.token_ids)
    more = {"answer": "17", "verdict": Verdict.CORRECT, "finish": drawn.finish, "logprobs": drawn.logprobs}
    return Solution(problem_id=problem, sample=index, prompt="Ana has 12. How many has Ben?", segments=(step,), **more)


class TableConfig(StageConfig):
    """Makes a table of one row."""

    data: Ref


@stage("t_table", version=1, outputs={"data": "table"}, heavy=False)
def table(config: TableConfig, ctx: Context) -> None:
    """Mean of the values."""
    values = [row["value"] for row in Rows(ctx.input(config.data).path)]
    ctx.metric("table", {"columns": ["what", "mean"], "rows": [["value", f"{sum(values) / len(values):.3f}"]]})
    write_rows(ctx.output("data"), "table", [{"policy": "value", "accuracy": sum(values) / len(values)}])


def source() -> Path:
    """This file."""
    return Path(__file__)
