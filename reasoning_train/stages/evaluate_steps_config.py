"""The config of stage `evaluate_steps`, and its checks before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from data_gen.engines.config import EngineConfig, TransformersConfig
from data_gen.records.scales import Scale, convertible
from data_gen.registry import Unkeyed
from data_gen.scorers import SCORERS
from reasoning_train.api.refs import ModelRef, ProblemsRef, Ref, SolutionsRef, VerifierRef
from reasoning_train.api.stage import Made
from reasoning_train.evaluation.names import FIRST_STEP, NO_ERROR
from reasoning_train.stages.effort import uneven_effort
from reasoning_train.stages.evaluated import Evaluated
from reasoning_train.stages.fits import heads, other_problems, refused, without_step_checker

if TYPE_CHECKING:
    from data_gen.scorers import ScorerConfig

    AnyScorer = ScorerConfig
else:
    AnyScorer = SCORERS.union()


class StepScorer(BaseModel):
    """`{scorer: head, verifier: "${stages.prm}"}`. A recipe may write a scorer that reads no checkpoint alone:
    `exact_steps`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scorer: AnyScorer
    verifier: VerifierRef | ModelRef | None = None
    """The checkpoint that it reads."""

    @model_validator(mode="after")
    def _complete(self) -> StepScorer:
        if self.scorer.needs_verifier and self.verifier is None:
            raise ValueError(f"verifier: scorer {self.scorer.uses!r} reads a checkpoint; give one: ${{stages.prm}}")
        if self.scorer.needs_value_head:
            raise ValueError(
                f"scorer: {self.scorer.uses!r} takes values that a policy gives while it draws, and nothing is drawn "
                "here. Use `head`, with the joint model as `verifier`"
            )
        return self


def _written_out(value: Any) -> Any:
    alone = isinstance(value, str) or (isinstance(value, Mapping) and "uses" in value)
    return {"scorer": value} if alone else value


AnyStepScorer = Annotated[StepScorer, BeforeValidator(_written_out, json_schema_input_type=StepScorer | AnyScorer)]


class Dev(BaseModel):
    """Where thresholds are chosen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    problems: ProblemsRef
    """None of the problems that are measured."""
    solutions: SolutionsRef


class EvaluateStepsConfig(Evaluated):
    """Which scorers are measured, on which labelled solutions."""

    solutions: SolutionsRef
    """With labels (`import_steps`). Those without are labelled by the task's exact step checker, if it has one."""
    policy: ModelRef
    """Its tokenizer encodes what is text, and it is the judge of scorers that ask one."""
    scorers: dict[str, AnyStepScorer] = Field(min_length=1)
    """Row of the table -> scorer."""
    dev: Dev | None = None
    """Each scorer's threshold is the one with the best F1 on these. None: `threshold` for all."""
    threshold: float = Field(0.5, ge=0, le=1)
    """Least P(right so far) of a step that counts as right, without `dev`."""
    gold: bool = False
    """Let scorers use gold, as numbers only (`exact_steps`). Their rows are marked `oracle`."""
    engine: Annotated[EngineConfig, Unkeyed()] = TransformersConfig()

    @model_validator(mode="after")
    def _complete(self) -> EvaluateStepsConfig:
        needy = [name for name, one in self.scorers.items() if one.scorer.needs_gold and not self.gold]
        if needy:
            raise ValueError(f"gold: scorer {needy[0]!r} needs gold; set `gold: true`")
        if taken := {NO_ERROR, FIRST_STEP} & self.scorers.keys():
            raise ValueError(f"scorers: {taken.pop()!r} is a row that every table has; give the scorer another name")
        return self

    @property
    def row_names(self) -> list[str]:
        """Rows of the table, in order."""
        return [NO_ERROR, FIRST_STEP, *self.scorers]

    @property
    def arms(self) -> dict[str, list[Ref]]:
        """The checkpoint of every scorer, or else the judge."""
        return {name: [one.verifier or self.policy] for name, one in self.scorers.items()}


def fits(config: EvaluateStepsConfig, made: Made) -> Iterator[tuple[str, str]]:
    """Scorers can read their checkpoints and the problems; solutions belong to their problems. That dev is apart
    from what is measured is a matter of lineage."""
    if said := uneven_effort(made, config.arms):
        yield "scorers", said
    if config.columns:
        yield "columns", "side graders and measures are about answers, and here steps are measured; leave it out."
    for name, one in config.scorers.items():
        yield from ((f"scorers.{name}", said) for said in _misfits(one, config, made))
    parts = {"": (config.problems, config.solutions)}
    if config.dev:
        parts["dev."] = config.dev.problems, config.dev.solutions
    for part, (problems, solutions) in parts.items():
        yield from ((f"{part}solutions", said) for said in other_problems(made, solutions, problems))


def _misfits(one: StepScorer, config: EvaluateStepsConfig, made: Made) -> Iterator[str]:
    unchecked = without_step_checker(made, config.problems) if one.scorer.needs_step_checker else []
    for task in unchecked:
        yield f"{one.scorer.uses!r} needs a task that can check steps (as chain does), and {task!r} cannot."
    for maker, head in heads(made, one.verifier) if one.verifier and one.scorer.needs_head else ():
        if head is None:
            yield f"{one.scorer.uses!r} reads a value head, but {maker.name!r} ({maker.uses!r}) makes none."
        elif said := refused(one.scorer.check_head, head):
            yield said
        elif config.dev is None and not convertible(head.scale, Scale.P):
            yield no_threshold(str(head.scale))


def no_threshold(scale: str) -> str:
    """Why a scorer whose values are of this scale cannot be measured without dev."""
    return f"its values are of scale {scale!r}, which has no threshold of its own; give `dev`, where it is chosen."
