"""`evaluate_steps`: how well scorers find the first wrong step of solutions: verifiers, judges, exact checkers.

The measure is ProcessBench's (arXiv 2412.06559): accuracy on solutions with an error, on those without one, and their
F1. A scorer predicts the first step whose score is below a threshold, which is chosen on dev.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from data_gen.records.scales import Scale
from data_gen.records.solution import first_wrong
from reasoning_train.api.stage import Context, Made, Sizes, at_most, gate, stage
from reasoning_train.evaluation.groups import restricted
from reasoning_train.evaluation.names import FIRST_ERROR_RATIOS, FIRST_STEP, NO_ERROR
from reasoning_train.stages.effort import tried
from reasoning_train.stages.evaluate_steps_config import Dev, EvaluateStepsConfig, fits, no_threshold
from reasoning_train.store.inputs import load_task, read_problems, read_solutions, with_solutions
from reasoning_train.store.rows import write_rows

if TYPE_CHECKING:
    from reasoning_train.evaluation.first_error_tables import Marked, Predictions
    from reasoning_train.stages.step_scores import StepScores


@stage(
    "evaluate_steps",
    version=2,
    outputs={"table": "table"},
    seeded=lambda config: any(one.scorer.draws() != (0, 0) for one in config.scorers.values()),
    learns="chooses",
    learns_from=("dev",),
)
def evaluate_steps(config: EvaluateStepsConfig, ctx: Context) -> None:
    """One row per (scorer, problem); `accuracy` is the share of a problem's solutions that are judged exactly right.

    Two rows need no scorer: always "no error", from which differences are taken, and always the first step. Tables show
    shares over solutions, in which those of one problem are resampled together.
    """
    from reasoning_train.evaluation.first_error_tables import figure_table, measured, numbers, table_rows, tag_table
    from reasoning_train.evaluation.summary import summarise_rows
    from reasoning_train.stages.step_scores import open_judges

    marked = _marked(config, config, ctx, config.where, config.limit)
    on_dev = _marked(config.dev, config, ctx) if config.dev else []
    with open_judges(config, ctx) as judges:
        thresholds = _thresholds(config, on_dev, judges.score(on_dev, "dev", ctx) if on_dev else {})
        ways = _ways(config, marked, judges.score(marked, "test", ctx), thresholds)
    figures = measured(ways, marked)
    rows = [row.to_row() for way in ways for row in table_rows(way, marked)]
    write_rows(ctx.output("table"), kind="table", rows=rows)
    ctx.count("out", len(marked))
    ctx.metric("first_errors", {name: numbers(one) for name, one in figures.items()})
    ctx.metric("thresholds", thresholds)
    summary = summarise_rows(rows, config.row_names, (), shares=FIRST_ERROR_RATIOS, ratios=FIRST_ERROR_RATIOS)
    ctx.metric("summary", {**summary, "tried": config.tried})
    ctx.metric("table", figure_table(ways, figures, config.tried))
    ctx.metric("by", [tag_table(name, ways, marked) for name in config.by])


@evaluate_steps.complete
def completed(config: EvaluateStepsConfig, made: Made) -> EvaluateStepsConfig:
    """What was tried for each row. Measures of the tasks are of answers, and no columns here."""
    return config.model_copy(update={"tried": tried(made, config.arms)})


evaluate_steps.check(fits)


@evaluate_steps.estimate
def cost(config: EvaluateStepsConfig, sizes: Sizes) -> dict[str, Any]:
    """A row per problem for every scorer and the two that need none. What scorers draw is known where they draw
    nothing: how many steps the solutions have is not known before they are read."""
    from reasoning_train.process.memory import generation_bytes

    policy, problems = sizes(config.policy).get("parameters"), at_most(sizes(config.problems).get("rows"), config.limit)
    result: dict[str, Any] = {"memory_bytes": generation_bytes(policy, config.engine)} if policy else {}
    if problems is not None:
        result["rows"] = problems * len(config.row_names)
    if all(one.scorer.draws() == (0, 0) for one in config.scorers.values()):
        result |= {"calls": 0, "tokens": 0}
    return result


def _marked(
    part: EvaluateStepsConfig | Dev,
    config: EvaluateStepsConfig,
    ctx: Context,
    where: Mapping[str, Any] | None = None,
    limit: int | None = None,
) -> list[Marked]:
    """The labelled solutions of a part, of the problems that are asked for. GateError if there are none."""
    from reasoning_train.evaluation.first_error_tables import Marked

    source, who = ctx.input(part.problems), "dev" if isinstance(part, Dev) else "evaluated"
    task, found, unlabelled = load_task(source), list[Marked](), 0
    asked = {problem.id for problem in restricted(read_problems(source), where or {}, limit)}
    for problem, solutions in with_solutions(read_problems(source), read_solutions(ctx.input(part.solutions))):
        for one in solutions if problem.id in asked else ():
            steps = one.steps
            labels = one.step_labels or (task.check_steps(problem, steps) or ())[: len(steps)]
            first = first_wrong(labels) if len(labels) == len(steps) else None
            if first is None:
                unlabelled += 1
            else:
                found.append(Marked(problem, one, first))
    if unlabelled:
        ctx.count(f"dropped.{who}.unlabelled", unlabelled)
    gate(
        bool(found),
        f"evaluate_steps: no solution of {part.solutions} says which step is the first wrong one. Bring labelled ones "
        "with `import_steps`, or solutions of a task that can check steps.",
    )
    share = unlabelled / (unlabelled + len(found))
    gate(
        share <= config.max_unverifiable,
        f"evaluate_steps: the labels of {unlabelled} of {unlabelled + len(found)} solutions of {part.solutions} leave "
        f"open which step is the first wrong one; max_unverifiable={config.max_unverifiable:g} allows a share of "
        f"{config.max_unverifiable:.0%}. Label them, leave them out of the file, or raise max_unverifiable.",
    )
    return found


def _thresholds(
    config: EvaluateStepsConfig, on_dev: Sequence[Marked], scores: Mapping[str, StepScores]
) -> dict[str, float]:
    """Scorer -> its threshold. GateError if dev cannot choose."""
    from reasoning_train.evaluation.first_errors import best_threshold

    if config.dev is None:
        return dict.fromkeys(config.scorers, config.threshold)
    wrong = sum(one.first_wrong < one.steps for one in on_dev)
    gate(
        0 < wrong < len(on_dev),
        f"evaluate_steps: {wrong} of the {len(on_dev)} solutions of dev have an error; expected some with and some "
        "without one, since thresholds are chosen by F1. Give more or other problems as `dev`, or leave it out.",
    )
    return {
        name: best_threshold(zip(own.values, (one.first_wrong for one in on_dev), strict=True))
        for name, own in scores.items()
    }


def _ways(
    config: EvaluateStepsConfig,
    marked: Sequence[Marked],
    scores: Mapping[str, StepScores],
    thresholds: Mapping[str, float],
) -> list[Predictions]:
    """The rows that need no scorer, then a row per scorer."""
    from reasoning_train.evaluation.first_error_tables import Predictions, below

    free = [0] * len(marked)
    ways = [
        Predictions(name=NO_ERROR, how="no error", first=[one.steps for one in marked], tokens=free),
        Predictions(name=FIRST_STEP, how="step 1", first=free, tokens=free),
    ]
    for name, own in scores.items():
        gate(config.dev is not None or own.scale is Scale.P, f"scorers.{name}: {no_threshold(str(own.scale))}")
        how, scorer = f"below {thresholds[name]:.4g}" + " (dev)" * bool(config.dev), config.scorers[name].scorer
        first = below(own.values, thresholds[name])
        ways.append(Predictions(name=name, how=how, first=first, tokens=own.tokens, oracle=scorer.needs_gold))
    return ways
