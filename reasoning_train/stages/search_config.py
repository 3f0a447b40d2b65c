"""The config of stage `search`, and its checks before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from data_gen.engines.config import EngineConfig, TransformersConfig
from data_gen.errors import UserError
from data_gen.format import TaskFormat
from data_gen.registry import Unkeyed
from data_gen.scorers import SCORERS
from data_gen.search import SEARCHES
from reasoning_train.api.refs import ModelRef, ProblemsRef, SolutionsRef, VerifierRef
from reasoning_train.api.stage import Gate, Made, StageConfig
from reasoning_train.stages.fits import formats, heads, other_problems, refused, unreadable, without_step_checker

if TYPE_CHECKING:
    from data_gen.scorers import ScorerConfig
    from data_gen.search import Search

    AnySearch = Search
    AnyScorer = ScorerConfig
else:
    AnySearch, AnyScorer = SEARCHES.union(), SCORERS.union()


class SearchConfig(StageConfig):
    """Which policy searches on which problems, by which algorithm and scorer."""

    policy: ModelRef
    problems: ProblemsRef
    search: AnySearch
    scorer: AnyScorer | None = None
    verifier: VerifierRef | ModelRef | None = None
    """The checkpoint that the scorer reads: a verifier, or a model (a joint model for its value head, any model for
    `likelihood`)."""
    solutions: SolutionsRef | None = None
    """Solutions of the same problems, sampled earlier. A search that starts from whole solutions uses these first and
    samples the rest."""
    gold: bool = False
    """Let search and scorer use outcomes from gold, as numbers only. Meant for making data on training problems. The
    trees are marked `oracle`."""
    trees: int = Field(1, ge=1)
    """Trees per problem, each with its own random streams."""
    limit: int | None = Field(None, ge=1)
    """Use only the first N problems."""
    min_solved: Annotated[float, Gate()] = Field(0.0, ge=0, le=1)
    """The stage fails if a smaller share of the trees has a right answer."""
    engine: Annotated[EngineConfig, Unkeyed()] = TransformersConfig()
    """The engine that runs the policy: `transformers` and `vllm` run in this process, `openai` calls a server."""

    @model_validator(mode="after")
    def _complete(self) -> SearchConfig:
        search, scorer = self.search, self.scorer
        if search.needs_scorer and scorer is None:
            raise ValueError(f"scorer: search {search.uses!r} needs a scorer. Known: {', '.join(SCORERS.names())}")
        if scorer is not None and scorer.needs_verifier and self.verifier is None:
            raise ValueError(
                f"verifier: scorer {scorer.uses!r} reads a checkpoint; give a reference such as ${{stages.prm}}"
            )
        if scorer is not None and scorer.needs_value_head and self.engine.uses != "transformers":
            raise ValueError(
                f"engine: scorer {scorer.uses!r} needs values that only `uses: transformers` gives with its "
                "tokens; with another engine use scorer 'head' and give the joint model as `verifier`"
            )
        if self.solutions and not search.takes_solutions:
            able = ", ".join(name for name in SEARCHES.names() if SEARCHES.get(name).takes_solutions)
            raise ValueError(
                f"solutions: search {search.uses!r} draws its own steps and cannot begin with solutions. These "
                f"searches can: {able}"
            )
        if not self.gold:
            needy = [search] if search.needs_gold else [scorer] if scorer is not None and scorer.needs_gold else []
            if needy:
                raise ValueError(f"gold: {needy[0].uses!r} needs outcomes; on training problems set `gold: true`")
        return self


def fits(config: SearchConfig, made: Made) -> Iterator[tuple[str, str]]:
    """Check scorer and verifier, step checker, text conventions and solutions before anything runs."""
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
                f"{scorer.uses!r} reads a value head of the {field}, but {maker.name!r} (a stage of type "
                f"{maker.uses!r}) makes none. Train one (`sft` with `value`, or `train_verifier`), or use "
                "another scorer; in rounds, `first: {STAGE: {scorer: ...}}` gives round 1 a scorer of its "
                "own.",
            )
        elif said := refused(scorer.check_head, head) or unreadable(head.scale, config.search.scale):
            yield "scorer", said


def refuse_ends(fmt: TaskFormat) -> None:
    """UserError if texts end solutions. A tree recognises an end only by its token, so it would search on after the
    answer."""
    if fmt.ends:
        raise UserError(
            f"task.format.ends: {list(fmt.ends)!r}, but searches end solutions by end tokens only. Sample with it "
            "(`uses: sample`), or search with a policy that was trained to write its end token, and without `ends`."
        )
