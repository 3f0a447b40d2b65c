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
from reasoning_train.store.rows import write_rows
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
    micro_tokens: Annotated[int, Unkeyed()] = 8192
    """Maximum tokens in one forward pass."""

    def weight_bytes(self, deepspeed: str | None) -> WeightBytes:
        """The same as a trainer's forward pass."""
        return SCORED


@stage("soften", version=1, outputs={"data": "solutions"}, seeded=False, scores=True, carries="data")
def soften(config: SoftenConfig, ctx: Context) -> None:
    """Solutions of one problem go through the teacher together, and their shared prefix only once. Solutions longer
    than the context are counted and dropped."""
    import torch

    from reasoning_train.models.policy import load_policy
    from reasoning_train.trainers.losses.base import Needs
    from reasoning_train.trainers.objective import Objective
    from reasoning_train.trainers.reading import read_rows
    from reasoning_train.trainers.setup import pad_id

    teacher = load_policy(ctx.input(config.policy).path, dtype=torch.float32)
    k = min(config.k, teacher.model.config.vocab_size)
    solutions = [*_readable(config, ctx, teacher)]
    objective = Objective(teacher.model, [], bf16=use_bf16(config.precision), needs=Needs(top=k)).eval()
    told = read_rows(
        objective, [_row(one) for one in solutions], pad_id(teacher), config.micro_tokens, lambda out: _told(out, k)
    )
    rows = (
        replace(one, teacher_ids=ids, teacher_logprobs=logprobs).to_row()
        for one, (ids, logprobs) in zip(solutions, told, strict=True)
    )
    ctx.count("out", write_rows(ctx.output("data"), kind="solutions", rows=rows))


@soften.check
def fits(config: SoftenConfig, made: Made) -> Iterator[tuple[str, str]]:
    """The solutions have token ids for the teacher to read."""
    for name in text_only(made, config.data):
        yield "data", f"{name!r} gives solutions without token ids for the teacher to read. {RECODE}"


soften.estimate(rows_of("data"))


def _readable(config: SoftenConfig, ctx: Context, teacher: Policy) -> Iterator[Solution]:
    for one in read_solutions(ctx.input(config.data)):
        ctx.count("in")
        gate(
            bool(one.prompt_ids and one.token_ids),
            f"soften: the solution of problem {one.problem_id!r} has no token ids for the teacher to read. {RECODE}",
        )
        text = teacher.codec.decode(one.token_ids)
        gate(
            text == one.text,
            f"soften: problem {one.problem_id!r}: to {config.policy} the token ids of its solution read "
            f"{text[:80]!r}, and the row says {one.text[:80]!r}. Teacher and student must share a tokenizer; sample "
            "with this teacher, or recode the rows for it.",
        )
        if len(one.prompt_ids) + len(one.token_ids) <= teacher.context:
            yield one
        else:
            ctx.count("dropped.too_long")


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
