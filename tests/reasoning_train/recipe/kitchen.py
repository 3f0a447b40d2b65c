"""Small stages and a task under names of their own, and short ways to write and load recipes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from data_gen.records.problem import Problem
from data_gen.registry import Unkeyed
from data_gen.tasks import TASKS
from data_gen.tasks.base import Task
from reasoning_train.api.plan import Plan
from reasoning_train.api.refs import ModelRef, OutputKind, ProblemsRef, Ref, SolutionsRef, TableRef
from reasoning_train.api.stage import Context, StageConfig, stage
from reasoning_train.recipe.load import load_plan


class Inner(BaseModel):
    """A nested part of a config."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    greedy: float = 0.5
    problems: ProblemsRef | None = None


class TrainConfig(StageConfig):
    """Something of every type."""

    policy: ModelRef
    data: SolutionsRef | ProblemsRef
    """What to train on."""
    rate: float = 1e-3
    steps: int = Field(10, ge=1)
    shape: tuple[int, int] = (1, 2)
    schedule: Literal["constant", "linear"] = "linear"
    packing: bool = True
    label: str = ""
    until: Inner | None = None
    file: Path | None = None
    notes: dict[str, float] = {}
    micro: Annotated[int, Unkeyed()] = 8


@stage("k_train", version=1, outputs={"model": "model", "log": "table"})
def train(config: TrainConfig, ctx: Context) -> None:
    """Never run here."""


class SampleConfig(StageConfig):
    """A policy and problems."""

    policy: ModelRef
    problems: ProblemsRef
    n: int = 4
    text: str = ""


@stage("k_sample", version=3, outputs={"data": "solutions"}, unit="problem")
def sample(config: SampleConfig, ctx: Context) -> None:
    """Never run here."""


class EvaluateConfig(StageConfig):
    """Policies by name."""

    policies: dict[str, ModelRef]
    problems: ProblemsRef

    @property
    def row_names(self) -> list[str]:
        """The policies."""
        return list(self.policies)


@stage("k_evaluate", version=1, outputs={"table": "table"}, unit="problem")
def evaluate(config: EvaluateConfig, ctx: Context) -> None:
    """Never run here."""


class ClaimConfig(StageConfig):
    """Tables of all seeds."""

    tables: list[TableRef]


@stage("k_claim", version=1, outputs={"verdict": "verdict"}, seeded=False, across_seeds=True)
def claim(config: ClaimConfig, ctx: Context) -> None:
    """Never run here."""


class CleanConfig(StageConfig):
    """Problems of any task to compare with."""

    problems: ProblemsRef
    against: list[Annotated[Ref, OutputKind("problems", same_format=False)]] = []


@stage("k_clean", version=1, outputs={"data": "problems"}, seeded=False)
def clean(config: CleanConfig, ctx: Context) -> None:
    """Never run here."""


class DrawConfig(StageConfig):
    """Problems to draw from."""

    problems: ProblemsRef


@stage("k_draw", version=1, outputs={"data": "problems"})
def draw(config: DrawConfig, ctx: Context) -> None:
    """Never run here."""


@TASKS.register("k_task")
class KitchenTask(Task):
    """Three splits and perhaps a file."""

    steps: int = 3
    path: Path | None = None
    open_text: bool = False

    def splits(self) -> dict[str, int | None]:
        return {"train": 2, "dev": 1, "test": 1}

    def problems(self, split: str) -> Iterator[Problem]:
        yield from ()

    def vocabulary(self) -> list[str] | None:
        return None if self.open_text else ["a", "b"]

    def files(self) -> dict[str, Path]:
        return {"path": self.path} if self.path else {}


RECIPE = """
    name: kitchen
    model: {init: {}, tokenizer: task}
    task: {uses: k_task}
    stages:
      base: {uses: k_train, policy: "${model}", data: "${task.train.gold}"}
      sample: {uses: k_sample, policy: "${stages.base}", problems: "${task.train}"}
      tuned: {uses: k_train, policy: "${stages.base}", data: "${stages.sample}"}
      eval: {uses: k_evaluate, policies: {base: "${stages.base}", tuned: "${stages.tuned}"}, problems: "${task.test}"}
      claim: {uses: k_claim, tables: ["${stages.eval}"]}
"""


def write(folder: Path, text: str, name: str = "recipe.yaml") -> Path:
    """A file with `text`, its common indent removed."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
    return path


def load(folder: Path, text: str = RECIPE, *overrides: str) -> Plan:
    """The plan of a recipe given as text."""
    return load_plan(write(folder, text), overrides)


def keys(plan: Plan) -> dict[str, str]:
    """Key of every node."""
    return {name: node.key for name, node in plan.nodes.items()}
