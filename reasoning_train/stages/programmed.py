"""What stages that run a prompt program have in common: the program, the models that it asks, and a verifier."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from data_gen.engines.config import EngineConfig, TransformersConfig
from data_gen.programs import PROGRAMS, PromptProgram
from data_gen.programs.solve import Solve
from data_gen.registry import Unkeyed
from data_gen.scorers import SCORERS, ScorerConfig
from reasoning_train.api.refs import ModelRef, Ref, VerifierRef
from reasoning_train.api.stage import Context, Made, StageConfig
from reasoning_train.stages.fits import heads, refused

if TYPE_CHECKING:
    from data_gen.engines.base import Engine
    from data_gen.programs.running import ProgramRunner
    from data_gen.tasks import Task
    from reasoning_train.models.engine import Meter
    from reasoning_train.models.policy_text import PolicyText

    AnyProgram = PromptProgram
    AnyScorer = ScorerConfig
else:
    AnyProgram, AnyScorer = PROGRAMS.union(), SCORERS.union()


class RoleModel(BaseModel):
    """A model with an engine of its own: `{model: "${stages.judge}", engine: {uses: openai, base_url: ...}}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: ModelRef
    engine: Annotated[EngineConfig, Unkeyed()] = TransformersConfig()


class Programmed(StageConfig):
    """Base of the configs: which program solves the problems."""

    program: AnyProgram = Solve()
    """How a problem is solved: `solve` (one completion a run), or another program (`reasoning-train list
    programs`)."""
    models: dict[str, ModelRef | RoleModel] = {}
    """Role -> a model that the program asks besides the policy: `{judge: "${stages.judge}"}`, or with an engine of its
    own."""
    scorer: AnyScorer | None = None
    """What scores solutions for a program that asks for it. A scorer that uses gold is refused."""
    verifier: VerifierRef | ModelRef | None = None
    """The checkpoint that the scorer reads."""
    calls: Literal["count", "keep"] = "count"
    """`keep`: rows hold the text of every request behind them (`conversation`)."""

    @model_validator(mode="after")
    def _has_what_the_program_asks(self) -> Self:
        program, asked = self.program.uses, set(self.program.roles)
        if missing := sorted(asked - self.models.keys()):
            raise ValueError(f"models: program {program!r} asks a model {missing[0]!r}; name one")
        if idle := sorted(self.models.keys() - asked):
            raise ValueError(f"models: program {program!r} asks no {idle[0]!r}; leave it out")
        if self.program.needs_scorer and self.scorer is None:
            raise ValueError(f"scorer: program {program!r} scores solutions. Known: {', '.join(SCORERS.names())}")
        if self.scorer is not None:
            self._check_scorer(self.scorer)
        elif self.verifier is not None:
            raise ValueError("verifier: no `scorer` reads it; leave it out")
        return self

    def _check_scorer(self, scorer: ScorerConfig) -> None:
        if not self.program.needs_scorer:
            raise ValueError(f"scorer: program {self.program.uses!r} scores nothing; leave it out")
        if scorer.needs_gold or scorer.needs_value_head or scorer.needs_step_checker:
            needed = "gold" if scorer.needs_gold or scorer.needs_step_checker else "values that only searches read"
            raise ValueError(f"scorer: {scorer.uses!r} needs {needed}, which no program gets")
        if scorer.needs_verifier and self.verifier is None:
            raise ValueError(
                f"verifier: scorer {scorer.uses!r} reads a checkpoint; give a reference such as ${{stages.prm}}"
            )

    @property
    def hired(self) -> dict[str, RoleModel]:
        """Role -> model and engine."""
        return {name: RoleModel(model=one) if isinstance(one, Ref) else one for name, one in self.models.items()}


def program_fits(config: Programmed, made: Made) -> Iterator[tuple[str, str]]:
    """The scorer can read the verifier."""
    scorer = config.scorer
    if scorer is None or config.verifier is None or not scorer.needs_head:
        return
    for maker, head in heads(made, config.verifier):
        if head is None:
            yield "verifier", f"{scorer.uses!r} reads a value head, but {maker.name!r} makes none."
        elif said := refused(scorer.check_head, head):
            yield "verifier", said


class OpenProgram:
    """A stage's runner, with the engines and token counts of the other models."""

    def __init__(self, runner: ProgramRunner, engines: list[Engine], meters: list[Meter]) -> None:
        self.runner, self.engines, self._meters = runner, engines, meters

    def tell(self, ctx: Context) -> None:
        """Count what the other models have generated and read since the last call."""
        for meter in self._meters:
            meter.tell(ctx)


@contextmanager
def open_program(config: Programmed, policy: PolicyText, made: Ref, task: Task, ctx: Context) -> Iterator[OpenProgram]:
    """Open the models and the scorer of a program. `made`: the policy itself, whose own engine the stage opens."""
    from data_gen.programs.running import OtherModel, ProgramRunner
    from reasoning_train.models.engine import Meter, open_engine
    from reasoning_train.models.policy_text import load_policy_text
    from reasoning_train.stages.searching import tools_of

    others, meters = dict[str, OtherModel](), list[Meter]()
    with ExitStack() as stack:
        for role, hired in config.hired.items():
            text = load_policy_text(ctx.input(hired.model).path)
            engine = stack.enter_context(open_engine(text, hired.engine, ctx))
            others[role] = OtherModel(engine, text.codec, text.context)
            meters.append(Meter(engine.usage, role))
        scorer = config.scorer.open(tools_of(ctx, policy, made, config.verifier, None)) if config.scorer else None
        runner = ProgramRunner(
            program=config.program,
            task=task,
            codec=policy.codec,
            context=policy.context,
            others=others,
            seed=ctx.seed,
            scorer=scorer,
            keep=config.calls == "keep",
        )
        yield OpenProgram(runner, [one.engine for one in others.values()], meters)
