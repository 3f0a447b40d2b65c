"""`recode_solutions`: makes a student's training rows of solutions with another tokenizer, template or prompt.

drawn:   {uses: sample, policy: "${stages.teacher}", problems: "${task.explore}", n: 4}
kept:    {uses: select, solutions: "${stages.drawn}"}
theirs:  {uses: recode_solutions, solutions: "${stages.kept}", model: "${model}"}
student: {uses: sft, policy: "${model}", data: "${stages.theirs}", learning_rate: 1e-3, epochs: 2}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from reasoning_train.api.refs import ModelRef, SolutionsRef
from reasoning_train.api.stage import Context, Gate, StageConfig, gate, rows_of, stage
from reasoning_train.store.inputs import read_solutions
from reasoning_train.store.rows import write_rows

if TYPE_CHECKING:
    from data_gen.format import StepCodec


class RecodeSolutionsConfig(StageConfig):
    """Which solutions are recoded, and for which student."""

    solutions: SolutionsRef
    """Rows that contain their question: from `sample`, `sft_paths`, `gold` and stages that select or change these."""
    model: ModelRef
    """The student, whose tokenizer and Format encode the rows."""
    max_dropped: Annotated[float, Gate()] = Field(0.05, ge=0, le=1)
    """The stage fails if a larger share of the rows is dropped. A row is dropped if the student's tokenizer does not
    reproduce its text, or a token spans two segments."""
    min_rows: Annotated[int, Gate()] = Field(1, ge=1)


@stage("recode_solutions", version=1, outputs={"data": "solutions"}, seeded=False)
def recode_solutions(config: RecodeSolutionsConfig, ctx: Context) -> None:
    """Recode row by row. Dropped rows are counted by reason; if the gate fails, it shows the first of each."""
    from reasoning_train.models.policy_text import load_policy_text

    codec, lost = load_policy_text(ctx.input(config.model).path).codec, dict[str, list[str]]()
    kept = write_rows(ctx.output("data"), kind="solutions", rows=_rows(config, ctx, codec, lost))
    total = kept + sum(map(len, lost.values()))
    shown = "".join(f" Dropped as {reason}: {len(rows)}, the first: {rows[0]}." for reason, rows in lost.items())
    gate(
        kept >= config.min_rows and total - kept <= config.max_dropped * total,
        f"recode_solutions: {kept} of {total} rows of {config.solutions} survive in the tokens of {config.model} "
        f"(min_rows={config.min_rows}, max_dropped={config.max_dropped}).{shown} Use a model whose tokenizer has the "
        "text and keeps the step delimiter apart, or raise max_dropped.",
    )


recode_solutions.estimate(rows_of("solutions"))


def _rows(
    config: RecodeSolutionsConfig, ctx: Context, codec: StepCodec, lost: dict[str, list[str]]
) -> Iterator[dict[str, Any]]:
    from data_gen.errors import excerpt
    from data_gen.labelling.recode_solutions import recode_solution

    for solution in read_solutions(ctx.input(config.solutions)):
        ctx.count("in")
        made = recode_solution(solution, codec)
        if isinstance(made, str):
            ctx.count(f"dropped.{made}")
            lost.setdefault(made, []).append(f"problem {solution.problem_id!r}, {excerpt(solution.text)}")
        else:
            ctx.count("out")
            yield made.to_row()
