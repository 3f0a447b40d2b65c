"""`search`: grows trees over problems, one file of data_gen/search an algorithm, many trees at a time over one
engine."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from data_gen.engines.config import EngineConfig, TransformersConfig
from data_gen.records.problem import Problem
from data_gen.records.solution import Solution
from data_gen.registry import Unkeyed
from data_gen.scorers import SCORERS
from data_gen.search import SEARCHES
from reasoning_train.api.refs import ModelRef, ProblemsRef, SolutionsRef, VerifierRef
from reasoning_train.api.stage import Context, Made, Sizes, StageConfig, at_most, gate, stage
from reasoning_train.stages.fits import formats, heads, other_problems, refused, unreadable, without_step_checker
from reasoning_train.store.inputs import count_rows, read_problems, read_solutions, with_solutions

if TYPE_CHECKING:
    from data_gen.engines.base import LM
    from data_gen.records.trees import Tree
    from data_gen.scorers import ScorerConfig
    from data_gen.search import Search
    from reasoning_train.stages.searching import Grower

    AnySearch = Search
    AnyScorer = ScorerConfig
else:
    AnySearch, AnyScorer = SEARCHES.union(), SCORERS.union()


class SearchConfig(StageConfig):
    """Which policy searches what, how, and who scores."""

    policy: ModelRef
    problems: ProblemsRef
    search: AnySearch
    scorer: AnyScorer | None = None
    verifier: VerifierRef | ModelRef | None = None
    """Checkpoint that the scorer reads: a verifier, or a model (a joint one for its value head, any for
    `likelihood`)."""
    solutions: SolutionsRef | None = None
    """Solutions of the same problems, drawn before: a search that begins with whole ones takes these first and draws
    what it lacks."""
    gold: bool = False
    """Grant gold to search and scorer, as numbers only: for data on training problems. Trees are then marked
    `oracle`."""
    trees: int = Field(1, ge=1)
    """Trees a problem, each with random streams of its own."""
    limit: int | None = Field(None, ge=1)
    """Only the first so many problems."""
    min_solved: float = Field(0.0, ge=0, le=1)
    """The stage refuses to hand on trees of which a smaller share found a right answer."""
    engine: Annotated[EngineConfig, Unkeyed()] = TransformersConfig()
    """What the policy runs on: `transformers` and `vllm` in this process, `openai` on a server."""

    @model_validator(mode="after")
    def _complete(self) -> SearchConfig:
        search, scorer = self.search, self.scorer
        if search.needs_scorer and scorer is None:
            raise ValueError(f"scorer: search {search.uses!r} needs one. Known: {', '.join(SCORERS.names())}")
        if scorer is not None and scorer.needs_verifier and self.verifier is None:
            raise ValueError(
                f"verifier: scorer {scorer.uses!r} reads a checkpoint; give a reference such as ${{stages.prm}}"
            )
        if scorer is not None and scorer.needs_value_head and self.engine.uses != "transformers":
            raise ValueError(
                f"engine: scorer {scorer.uses!r} needs values that only `uses: transformers` gives with its tokens; "
                "elsewhere take scorer 'head' and give the joint model as `verifier`"
            )
        if self.solutions and not search.takes_solutions:
            able = ", ".join(name for name in SEARCHES.names() if SEARCHES.get(name).takes_solutions)
            raise ValueError(
                f"solutions: search {search.uses!r} draws its own steps and begins with no solution. Those that do: "
                f"{able}"
            )
        if not self.gold:
            needy = [search] if search.needs_gold else [scorer] if scorer is not None and scorer.needs_gold else []
            if needy:
                raise ValueError(f"gold: {needy[0].uses!r} needs outcomes; on training problems set `gold: true`")
        return self


def _fits(config: SearchConfig, made: Made) -> Iterator[tuple[str, str]]:
    """Scorer and verifier, gold and step checker, text conventions and solutions, before anything runs."""
    from reasoning_train.stages.searching import refuse_ends

    yield from _scorer_fits(config, made)
    needy = [piece for piece in (config.search, config.scorer) if piece and piece.needs_step_checker]
    for task in without_step_checker(made, config.problems) if needy else ():
        yield "problems", f"{needy[0].uses!r} needs a task that can check steps (as chain does), and {task!r} cannot."
    for fmt in formats(made, config.problems):
        if said := refused(refuse_ends, fmt):
            yield "problems", said
    for said in other_problems(made, config.solutions, config.problems) if config.solutions else ():
        yield "solutions", said


def _scorer_fits(config: SearchConfig, made: Made) -> Iterator[tuple[str, str]]:
    scorer = config.scorer
    if scorer is None or not (scorer.needs_value_head or scorer.needs_head):
        return
    field = "policy" if scorer.needs_value_head else "verifier"
    read = config.policy if scorer.needs_value_head else config.verifier
    assert read is not None, "a scorer that reads a verifier has one"
    for maker, head in heads(made, read):
        if head is None:
            yield (
                "scorer",
                f"{scorer.uses!r} reads a value head of the {field}, and {maker.name!r} (a stage of type "
                f"{maker.uses!r}) makes none. Train one (`sft` with `value`, or `train_verifier`), or take another "
                "scorer; in rounds, `first: {STAGE: {scorer: ...}}` gives round 1 a scorer of its own.",
            )
        elif said := refused(scorer.check_head, head) or unreadable(head.scale, config.search.scale):
            yield "scorer", said


@stage("search", version=1, outputs={"trees": "trees"}, unit="problem")
def search(config: SearchConfig, ctx: Context) -> None:
    """Record each tree as it is finished."""
    from reasoning_train.stages.searching import open_grower

    with open_grower(config, ctx) as grower:
        _grow(grower, config, ctx)


search.check(_fits)


def _grow(grower: Grower, config: SearchConfig, ctx: Context) -> None:
    from data_gen.engines.programs import run_programs
    from reasoning_train.models.engine import Meter

    if config.solutions:
        deque(_paired(config, ctx), maxlen=0)  # a misfit is told before hours of work, not after
    meter = Meter(grower.engine.usage)
    total = count_rows(ctx.input(config.problems), config.limit) * config.trees

    async def program(item: Item, lm: LM) -> Tree | None:
        problem, sample, given = item[2]
        return await grower.grow(problem, sample, lm, given)

    pending = ctx.pending(
        _items(config, ctx), group_size=config.trees
    )  # trees of one problem share its prefix in one engine
    grown = run_programs(grower.engine, pending, program, seed=ctx.seed, key=lambda i: i[1], in_flight=grower.in_flight)
    for done, (item, tree) in enumerate(grown, 1):
        tokens = meter.tell(ctx)
        if tree is None:
            ctx.count("dropped.question_too_long")
        ctx.record(item[0], item[1], tree.to_rows() if tree else [])
        ctx.progress(done, total, tokens=tokens)


Work = tuple[Problem, int, list[Solution]]
"""(problem, which of its trees, solutions to begin with)."""
Item = tuple[int, str, Work]
"""(order, key, work): what `ctx.pending` hands out."""


def _paired(config: SearchConfig, ctx: Context) -> Iterator[tuple[Problem, list[Solution]]]:
    problems = itertools.islice(read_problems(ctx.input(config.problems)), config.limit)
    return with_solutions(problems, read_solutions(ctx.input(config.solutions)) if config.solutions else ())


def _items(config: SearchConfig, ctx: Context) -> Iterator[tuple[str, Work]]:
    for problem, given in _paired(config, ctx):
        for sample in range(config.trees):
            yield f"{problem.id}#{sample}", (problem, sample, given)


@search.estimate
def cost(config: SearchConfig, sizes: Sizes) -> dict[str, Any]:
    """Every tree to its budget, every sample to the token limit, every node scored."""
    from reasoning_train.process.memory import generation_bytes

    policy, problems = sizes(config.policy).get("parameters"), at_most(sizes(config.problems).get("rows"), config.limit)
    result: dict[str, Any] = {"memory_bytes": generation_bytes(policy, config.engine)} if policy else {}
    if problems is not None:
        trees, draws = problems * config.trees, config.search.draws()
        samples, tokens = (
            (draws + 1) * n for n in (config.scorer.draws() if config.scorer else (0, 0))
        )  # the root is scored as well
        calls = trees * (draws + samples)
        result |= {
            "records": trees,
            "rows": calls + trees,
            "calls": calls,
            "tokens": trees * (config.search.tokens() + tokens),
        }
    return result


@search.finish
def summarise(config: SearchConfig, ctx: Context, rows: Iterable[dict[str, Any]]) -> None:
    """What the trees look like, into the manifest; the gates."""
    from data_gen.records.trees import read_trees
    from reasoning_train.evaluation.trees import summarise_trees

    summary, table = summarise_trees(read_trees(rows))
    gate(
        summary["trees"] > 0,
        f"search: no trees; {config.problems} is empty or every question is longer than the context.",
    )
    ctx.count("out", summary["trees"])
    ctx.metric("trees", summary)
    ctx.metric("table", table)
    solved = summary["solved"]
    gate(
        solved >= config.min_solved,
        f"search: {solved:.4f} of the trees hold a right answer, fewer than min_solved={config.min_solved}. "
        "Raise the budget or temperature, use easier problems or a stronger policy.",
    )
