"""`reword`: the same problems asked in other words, to sample or evaluate as transform `reprompt` trained.

brief: {uses: reword, problems: "${task.test}", template: "{question} Be brief."}
"""

from __future__ import annotations

from dataclasses import replace

from data_gen.transforms.reprompt import Template
from reasoning_train.api.refs import ProblemsRef
from reasoning_train.api.stage import Context, StageConfig, rows_of, stage
from reasoning_train.store.inputs import pass_on_tasks, read_problems
from reasoning_train.store.rows import write_rows


class RewordConfig(StageConfig):
    """Which problems, and how they are asked."""

    problems: ProblemsRef
    template: Template


@stage("reword", version=1, outputs={"data": "problems"}, seeded=False, heavy=False, carries="problems")
def reword(config: RewordConfig, ctx: Context) -> None:
    """Ids, groups, gold and tasks stay, so that splits stay apart and results compare problem by problem."""
    source, out = ctx.input(config.problems), ctx.output("data")
    rows = (
        replace(problem, question=config.template.replace("{question}", problem.question)).to_row()
        for problem in read_problems(source)
    )
    write_rows(out, "problems", rows)
    pass_on_tasks(source, out, ctx)


reword.estimate(rows_of("problems"))
