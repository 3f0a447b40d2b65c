"""`revision_chains`: training rows for a policy that revises: a right solution behind wrong ones of the same problem.

pool: {uses: sample, policy: "${stages.base}", problems: "${task.explore}", n: 16}
chains: {uses: revision_chains, solutions: "${stages.pool}", model: "${stages.base}", program: {uses: revise, keep: 4}}
revises: {uses: sft, policy: "${stages.base}", data: "${stages.chains}", learning_rate: 1e-3, epochs: 2}
table: {uses: evaluate, policies: {revises: "${stages.revises}"}, problems: "${task.test}", program: {uses: revise}}

Snell et al., arXiv 2408.03314, section 6.1 and appendix: 0 to 4 wrong attempts, their number drawn uniformly. The last
one is the wrong attempt nearest to the right one by edit distance, so that a policy learns to mend and not to begin
anew; the others are drawn at random. Only the right solution carries loss: the wrong ones stand in its prompt.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from data_gen.engines.base import stream_seed
from data_gen.programs.revise import Revise
from data_gen.records.calls import Turn
from data_gen.records.solution import Solution
from data_gen.records.verdict import Verdict
from data_gen.scorers.wording import filled
from data_gen.similarity import edit_distance
from reasoning_train.api.refs import ModelRef, SolutionsRef
from reasoning_train.api.stage import Context, Gate, StageConfig, gate, rows_of, stage
from reasoning_train.store.inputs import read_solutions
from reasoning_train.store.rows import write_rows

if TYPE_CHECKING:
    from data_gen.format import StepCodec


class RevisionChainsConfig(StageConfig):
    """Which solutions become chains, for which policy and program."""

    solutions: SolutionsRef
    """Several solutions of every problem, right and wrong ones, from `sample`."""
    model: ModelRef
    """The policy that is trained on the rows; its Format renders their prompts."""
    program: Revise = Revise()
    """The program that the policy is trained for: its template, and `keep`, the most wrong attempts of a chain."""
    per_problem: int = Field(4, ge=1)
    """Most right solutions of a problem, different texts, the first ones."""
    min_rows: Annotated[int, Gate()] = Field(1, ge=1)


@stage("revision_chains", version=1, outputs={"data": "solutions"}, carries="solutions")
def revision_chains(config: RevisionChainsConfig, ctx: Context) -> None:
    """Stream problem by problem. Chains that do not fit the policy's context lose their first attempts."""
    from reasoning_train.models.policy_text import load_policy_text

    text, shown = load_policy_text(ctx.input(config.model).path), [0] * (config.program.keep + 1)

    def rows() -> Iterator[dict[str, Any]]:
        for _, group in itertools.groupby(read_solutions(ctx.input(config.solutions)), key=lambda row: row.problem_id):
            every = list(group)
            given = [row for row in every if row.verdict is not Verdict.WRONG or _readable(row.said, text.codec)]
            ctx.count("in", len(every))
            if len(given) < len(every):
                ctx.count("unreadable_attempts", len(every) - len(given))
            for row, wrong in chains(given, config, ctx.seed):
                made = _behind(row, wrong, config.program, text.codec, text.context)
                if made is None:
                    ctx.count("dropped.too_long")
                    continue
                shown[made.turn or 0] += 1
                yield made.to_row()

    n = write_rows(ctx.output("data"), "solutions", rows())
    ctx.count("out", n)
    ctx.metric("attempts_shown", shown)
    gate(
        n >= config.min_rows,
        f"revision_chains: {n} rows, fewer than min_rows={config.min_rows}: too few problems of {config.solutions} "
        "have a right solution. Sample more, or take easier problems.",
    )


revision_chains.estimate(rows_of("solutions"))


def _readable(said: str, codec: StepCodec) -> bool:
    """Whether a prompt can show a text: a tokenizer of few words may write what it cannot read."""
    return codec.decode(codec.tokenizer(said, add_special_tokens=False)["input_ids"]).strip() == said.strip()


def chains(
    given: Sequence[Solution], config: RevisionChainsConfig, seed: int
) -> Iterator[tuple[Solution, list[Solution]]]:
    """Right solutions of one problem, each with the wrong attempts that stand before it, the nearest last."""
    whole = [row for row in given if row.finish == "stop"]
    right = list({row.text: row for row in reversed(whole) if row.verdict is Verdict.CORRECT}.values())[::-1]
    wrong = list({row.text: row for row in whole if row.verdict is Verdict.WRONG}.values())
    for number, row in enumerate(right[: config.per_problem]):
        rng = random.Random(stream_seed(seed, row.problem_id, "revision", number))
        size = min(rng.randint(0, config.program.keep), len(wrong))
        yield row, _attempts(row, wrong, size, rng) if size else []


def _attempts(right: Solution, wrong: Sequence[Solution], size: int, rng: random.Random) -> list[Solution]:
    near = nearest_to(right.text, [row.text for row in wrong])
    rest = [row for i, row in enumerate(wrong) if i != near]
    return [*rng.sample(rest, size - 1), wrong[near]]


def nearest_to(text: str, others: Sequence[str]) -> int:
    """Index of the text with the smallest edit distance, the first of equals.

    >>> nearest_to("12 + 8 = 20", ["12 - 8 = 4", "12 + 8 = 21", "12 + 8 = 22"])
    1
    """
    found, least = 0, max(len(text), *map(len, others)) + 1
    for i, other in enumerate(others):
        distance = edit_distance(text, other, most=least)  # cut off where it is no nearer than the best so far
        if distance < least:
            found, least = i, distance
    return found


def _behind(
    row: Solution, wrong: Sequence[Solution], program: Revise, codec: StepCodec, context: int
) -> Solution | None:
    """The row behind as many of the wrong attempts as leave it room, or behind the question alone. None if not even
    that fits."""
    for first in range(len(wrong) + 1):
        asked = _asked(row.question, wrong[first:], program, codec)
        ids = tuple(codec.turns_ids(asked) if asked else codec.prompt_ids(row.question))
        if len(ids) + len(row.token_ids) <= context:
            return replace(
                row,
                asked=asked,
                prompt=codec.turns_text(asked) if asked else codec.prompt_text(row.question),
                prompt_ids=ids,
                turn=len(wrong) - first,
                logprobs=(),
                teacher_ids=(),
                teacher_logprobs=(),
            )
    return None


def _asked(question: str, wrong: Sequence[Solution], program: Revise, codec: StepCodec) -> tuple[Turn, ...]:
    if not wrong:
        return ()
    parts = {
        "{question}": question,
        "{asked}": codec.format.task.asked(question),
        "{attempts}": program.attempts([row.said for row in wrong]),
    }
    return (Turn("user", filled(program.template, parts)),)
