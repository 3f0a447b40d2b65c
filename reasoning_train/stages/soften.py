"""`soften`: adds a teacher's top-k log-probabilities at every token of solutions, for distillation (`sparse_kl`).

`soft: {uses: soften, data: "${stages.kept}", policy: "${stages.teacher}", k: 5}`, then `sft` with `data:
"${stages.soft}"` and `losses: [{uses: sparse_kl}]` (Specializing, arXiv 2301.12726, keeps five tokens). Teacher and
student share a tokenizer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from data_gen.registry import Unkeyed
from reasoning_train.api.refs import ModelRef, SolutionsRef
from reasoning_train.api.stage import Context, Made, StageConfig, gate, rows_of, stage
from reasoning_train.process.memory.weights import SCORED, WeightBytes
from reasoning_train.stages.fits import text_only
from reasoning_train.store.inputs import read_solutions
from reasoning_train.trainers.config import Precision
from reasoning_train.trainers.setup import use_bf16

if TYPE_CHECKING:
    from data_gen.records.solution import Solution
    from reasoning_train.models.policy import Policy
    from reasoning_train.packing.rows import Row
    from reasoning_train.trainers.outputs import Outputs

RECODE = "Put stage `recode_solutions` before this one, with `model:` the teacher."

Told = tuple[tuple[tuple[int, ...], ...], tuple[tuple[float, ...], ...]]
"""Top-k ids and log-probabilities at every token of a completion."""


class SoftenConfig(StageConfig):
    """Which teacher reads which solutions, and how many tokens it keeps."""

    data: SolutionsRef
    policy: ModelRef
    """The teacher."""
    k: int = Field(5, ge=1)
    """Tokens kept at each position, the likeliest first."""
    precision: Precision = "auto"
    micro_tokens: Annotated[int, Unkeyed()] = Field(8192, ge=1)
    """Maximum tokens in one forward pass."""

    def weight_bytes(self, deepspeed: str | None) -> WeightBytes:
        """The same as a trainer's forward pass."""
        return SCORED


@stage(
    "soften",
    version=1,
    outputs={"data": "solutions"},
    unit="problem",
    seeded=False,
    scores=True,
    carries="data",
    learns="labels",
)
def soften(config: SoftenConfig, ctx: Context) -> None:
    """Solutions of one problem go through the teacher together, and their shared prefix only once. Solutions longer
    than the context are counted and dropped."""
    import torch

    from reasoning_train.models.policy import load_policy
    from reasoning_train.trainers.losses.base import Needs
    from reasoning_train.trainers.objective import Objective
    from reasoning_train.trainers.reading import count_read, pending_problems, read_rows
    from reasoning_train.trainers.setup import pad_id

    teacher, source = load_policy(ctx.input(config.policy).path, dtype=torch.float32), ctx.input(config.data)
    k, done = min(config.k, teacher.vocabulary), 0
    objective = Objective(teacher.model, [], bf16=use_bf16(config.precision), needs=Needs(top=k)).eval()
    for some in pending_problems(ctx, read_solutions(source), _tokens, config.micro_tokens):
        fitting = [[one for one in each.records if _fits(one, teacher, config)] for each in some]
        rows = [_row(one) for kept in fitting for one in kept]
        told = iter([*read_rows(objective, rows, pad_id(teacher), config.micro_tokens, lambda out: _told(out, k))])
        for each, kept in zip(some, fitting, strict=True):
            count_read(ctx, len(each.records), len(kept))
            ctx.record(each.order, each.problem, [_softened(one, next(told)).to_row() for one in kept])
        done += len(some)
        ctx.progress(done, None)


@soften.check
def fits(config: SoftenConfig, made: Made) -> Iterator[tuple[str, str]]:
    """The solutions have token ids for the teacher to read."""
    for name in text_only(made, config.data):
        yield "data", f"{name!r} gives solutions without token ids for the teacher to read. {RECODE}"


soften.estimate(rows_of("data"))


def _tokens(solution: Solution) -> int:
    return len(solution.prompt_ids) + len(solution.token_ids)


def _fits(solution: Solution, teacher: Policy, config: SoftenConfig) -> bool:
    """Whether the teacher's context holds the solution. GateError if the teacher cannot read its tokens."""
    gate(
        bool(solution.prompt_ids and solution.token_ids),
        f"soften: the solution of problem {solution.problem_id!r} has no token ids for the teacher to read. {RECODE}",
    )
    text = teacher.codec.decode(solution.token_ids)
    gate(
        teacher.codec.reads(solution.token_ids, solution.text),
        f"soften: problem {solution.problem_id!r}: to {config.policy} the token ids of its solution read "
        f"{text[:80]!r}, but the row says {solution.text[:80]!r}. Teacher and student must share a tokenizer; sample "
        "with this teacher, or recode the rows for it.",
    )
    return _tokens(solution) <= teacher.context


def _softened(solution: Solution, told: Told) -> Solution:
    ids, logprobs = told
    return replace(solution, teacher_ids=ids, teacher_logprobs=logprobs)


def _row(solution: Solution) -> Row:
    """A row in which every completion token is scored, whatever its loss weight."""
    from reasoning_train.packing.rows import Row, Trace

    ids, prompt = (*solution.prompt_ids, *solution.token_ids), len(solution.prompt_ids)
    return Row((Trace(ids, (0.0,) * prompt + (1.0,) * len(solution.token_ids)),), group=solution.problem_id)


def _told(out: Outputs, k: int) -> Sequence[Told]:
    """The top-k ids and log-probabilities of every trace of a pass."""
    lengths = out.batch["token_trace"].bincount(minlength=len(out.batch["trace_row"])).tolist()
    split = [tensor.cpu().split(lengths) for tensor in out.top(k)]
    return [tuple(tuple(map(tuple, part.tolist())) for part in parts) for parts in zip(*split, strict=True)]  # type: ignore[misc]
