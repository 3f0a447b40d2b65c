"""The recipe's own fields, validated before references are resolved."""

from __future__ import annotations

import textwrap
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from reasoning_train.recipe import limits

NAME_PATTERN = r"^[A-Za-z_][A-Za-z0-9_-]{0,79}$"
NAME_RULE = "a name of at most 80 letters, digits, '_' and '-' that does not begin with a digit"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""Names of recipes, stages, rounds, grids and tasks: at most 80 letters, digits, `_` and `-`. A dot separates the parts
of a reference, so names have none. Names become folders, files, jobs and lines of scripts."""


Clock = Annotated[str, StringConstraints(pattern=r"^([0-9]+-)?[0-9]+:[0-5][0-9]:[0-5][0-9]$")]
"""A time limit, `H:MM:SS` or `D-HH:MM:SS`."""


Seed = Annotated[int, Field(ge=0, lt=2**63)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Resources(_Part):
    """Resources of a stage. They are never part of its key. The launcher chooses omitted values by the size of the
    model."""

    threads: int | None = Field(default=None, ge=1)
    """Intra-op threads of each process; default: one."""
    shards: int | None = Field(default=None, ge=1)
    """Processes that share a `unit: problem` stage. Default: as many as free cores allow; on a cluster, the number in
    its profile."""
    deepspeed: str | None = None
    """Only for a trainer under torchrun: `zero0` to `zero3` (configs/deepspeed/), or the path of a DeepSpeed
    configuration."""
    nodes: int | None = Field(default=None, ge=1)
    """Nodes that a trainer spans."""
    gpus: int | None = Field(default=None, ge=0)
    """GPUs per node of a trainer, or per shard of a data stage (default: the engine's `tensor_parallel`)."""
    processes: int | None = Field(default=None, ge=1)
    """Processes of a trainer per node. Default: one per GPU, or one without GPUs."""
    cpus: int | None = Field(default=None, ge=1)
    """CPU cores per shard, or per node of a trainer."""
    memory: str | None = Field(default=None, pattern=r"^[1-9][0-9]*[MGT]$")
    """Main memory per node, e.g. `64G`."""
    time: Clock | None = None
    """Time limit of a job. A stage that reaches it saves and is queued again."""


class MixedSeed(_Part):
    """A seed derived from the recipe's seed and a value."""

    mix: str | int | float | list[str | int | float]
    """`"${round}"`, or a name such as `pool2` for a second pool that is independent under every seed of the recipe."""


class Stage(BaseModel):
    """One stage. Its other fields are the config of the stage type that it `uses`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    uses: str
    """Name of a registered stage type."""
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | str | MixedSeed | None = (
        None  # stage_seed refuses those below 0
    )
    """Default: the recipe's seed, mixed with the round from round 2 on. `{mix: VALUE}` mixes a value into the recipe's
    seed. A number is the seed itself, the same under every seed of the recipe and in every round."""
    resources: Resources = Resources()
    allow_test: str | None = Field(None, min_length=1)
    """Why this stage may learn from problems that are evaluated: of a split named test, or measured by a claim. Tables,
    claims and the report repeat it. It is no part of the key."""
    grid: dict[str, list[Any] | dict[str, Any]] = {}
    """Repeats the stage over the values of its fields: `{epochs: [1, 2]}`, `{search.simulations: [8, 16]}`. Values
    other than text and numbers need names: `{data: {few: "${stages.a}", many: "${stages.b}"}}`. A parameter that the
    stage reads as `${grid.NAME}` need not be a field. `${stages.X[epochs=2]}` is one setting; `${stages.X}` is all of
    them, by name."""


class ChoiceRule(_Part):
    """How the best round is chosen once all have run. The first of equal rounds wins. If `start` has both the policy
    and the table, it takes part as round 0."""

    table: str
    """The evaluation on dev, which is a stage of the round: `${stages.dev}`."""
    metric: str = "accuracy"
    row: str | None = None
    """The row of the table to compare. Needed if it has several."""
    lower: bool = False
    """Lower values of the metric are better. For costs and `cut` this is the default."""
    uneven: str | None = None
    """Why the best was chosen from more or fewer candidates than another arm of the same evaluation."""


class Stop(ChoiceRule):
    """When the rounds end: as soon as a round does not beat the best earlier one by more than `min_gain`. Without
    `choose`, the same table also chooses the best round."""

    min_gain: float = Field(0.0, ge=0)


class GridChoice(ChoiceRule):
    """How the best setting of a grid is chosen."""

    policy: str
    """The stage of the group that makes the policy, or the pool, of a setting."""


class Grid(_Part):
    """A group of stages that is repeated over the values of parameters."""

    over: dict[Name, list[Any] | dict[str, Any]] = Field(min_length=1)
    """Parameters and their values: `{beta: [0.1, 0.3]}`; `${grid.beta}` is the value inside the group."""
    stages: dict[Name, Stage] = Field(min_length=1)
    """`${grids.NAME.X[beta=0.3]}` is stage X of one setting; `${grids.NAME.X}` is stage X of all settings, by name."""
    choose: GridChoice | None = None
    """The rule behind `${grids.NAME.best}`."""


class Rounds(_Part):
    """A group of stages that is repeated up to `max` times."""

    max: int = Field(ge=1, le=limits.ROUNDS)
    stages: dict[Name, Stage] = Field(min_length=1)
    policy: str
    """The stage that makes the round's policy. `best`, `last` and `${init}` refer to it."""
    start: dict[str, str] = {}
    """Values of `${previous.X}` in round 1: `{tuned: "${stages.base}"}`."""
    init_from: Literal["base", "previous"] = "previous"
    """Value of `${init}`: the policy's `start` in every round (`base`), or the policy of the previous round
    (`previous`)."""
    first: dict[Name, dict[str, Any]] = {}
    """Changes for round 1, by stage: `{trees: {scorer: {uses: constant}}}`. Maps are merged field by field; a map that
    `uses` something else replaces the whole map."""
    vary: dict[Name, dict[str, Any]] = {}
    """Fields that differ by round, by stage: `{sample: {n: [4, 8, 16]}}` gives 4 in round 1, 8 in round 2."""
    stop: Stop | None = None
    choose: ChoiceRule | None = None
    """The rule behind `${rounds.NAME.best}`, with or without a `stop` rule."""

    @property
    def choice(self) -> ChoiceRule | None:
        """The rule behind `${rounds.NAME.best}`."""
        return self.choose or self.stop


class Recipe(_Part):
    """One recipe after includes and `--set`."""

    name: str = Field(min_length=1)
    """A name; references in it are filled in."""
    description: str | None = None
    paper: str | None = None
    seed: Seed | None = None
    """Default: 0."""
    seeds: list[Seed] | None = Field(None, min_length=1, max_length=limits.SEEDS)
    """Repeats the graph for each seed; replaces `seed`."""
    allow_test: str | None = Field(None, min_length=1)
    """Why every stage may learn from problems that are evaluated; a stage may have a reason of its own."""
    include: list[str] = []
    """Files whose fields this recipe starts from. Paths are relative to the recipe, the current folder or the installed
    checkout."""
    model: dict[str, Any] | None = None
    """The base model: the config of the stage `model`. `${model}` refers to it."""
    task: dict[str, Any] | None = None
    """The task: `uses` and its fields. References: `${task.train}`, `${task.train.gold}`."""
    tasks: dict[Name, dict[str, Any]] = {}
    """More tasks by name. References: `${tasks.NAME.SPLIT}`. `include: [FILE]` in one starts from the `task` of
    files."""
    stages: dict[Name, Stage] = {}
    rounds: dict[Name, Rounds] = {}
    grids: dict[Name, Grid] = {}

    @model_validator(mode="after")
    def _one_way_to_seed(self) -> Recipe:
        if self.seeds is not None and self.seed is not None:
            raise ValueError(
                "give `seed` or `seeds`, not both; on the command line: --set seed=null or --set seeds=null"
            )
        if self.seeds is not None and len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds: each may be given once, got {textwrap.shorten(str(self.seeds), 80)}")
        return self
