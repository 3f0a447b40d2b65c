"""The recipe's own fields, before references are followed: what may stand where on the page."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")]
"""Names of stages, rounds and tasks: letters, digits, `_` and `-`; no dot, which separates the parts of a reference."""


Clock = Annotated[str, StringConstraints(pattern=r"^([0-9]+-)?[0-9]+:[0-5][0-9]:[0-5][0-9]$")]
"""A time limit, `H:MM:SS` or `D-HH:MM:SS`."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Resources(_Part):
    """What a stage may use. Never part of its key. What is left out is chosen by the launcher, by the size of the
    model."""

    threads: int | None = Field(default=None, ge=1)
    """Intra-op threads of each process; default: one."""
    shards: int | None = Field(default=None, ge=1)
    """Processes that share a `unit: problem` stage; default: as many as are free, on a cluster as its profile says."""
    deepspeed: str | None = None
    """Only for a trainer under torchrun: `zero0` to `zero3` (configs/deepspeed/), or the path of a DeepSpeed
    configuration."""
    nodes: int | None = Field(default=None, ge=1)
    """Nodes that a trainer spans."""
    gpus: int | None = Field(default=None, ge=0)
    """GPUs of each node of a trainer, of each shard of a data stage (default there: the engine's `tensor_parallel`)."""
    processes: int | None = Field(default=None, ge=1)
    """Processes of a trainer on each node; default: one a GPU, one where there is none."""
    cpus: int | None = Field(default=None, ge=1)
    """CPU cores of each shard, of each node of a trainer."""
    memory: str | None = Field(default=None, pattern=r"^[1-9][0-9]*[MGT]$")
    """Main memory of a node, e.g. `64G`."""
    time: Clock | None = None
    """Time limit of a job. A stage that reaches it saves and is queued again."""


class MixedSeed(_Part):
    """A seed that derives from the recipe's seed and from a value."""

    mix: str | int | float | list[str | int | float]
    """`"${round}"`, or a name such as `pool2` for a second pool that is independent under every seed of the recipe."""


class Stage(BaseModel):
    """One stage; its further fields are the config of what it `uses`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    uses: str
    """Which registered stage."""
    seed: int | str | MixedSeed | None = None
    """Unwritten: the recipe's seed, from the second round on mixed with the round. `{mix: VALUE}` mixes a value into
    the recipe's seed. A number is the seed itself, the same under every seed of the recipe and in every round."""
    resources: Resources = Resources()
    grid: dict[str, list[Any] | dict[str, Any]] = {}
    """Repeats the stage over the values of its fields: `{epochs: [1, 2]}`, `{search.simulations: [8, 16]}`; values
    that are no plain text or number have names, `{data: {few: "${stages.a}", many: "${stages.b}"}}`. A parameter that
    the stage reads as `${grid.NAME}` is no field. `${stages.X[epochs=2]}` is one of them, `${stages.X}` all, by
    name."""


class Choice(_Part):
    """How the best round is chosen once all have run; of equal rounds the first. Where `start` has both the policy and
    the table, the start takes part as round 0."""

    table: str
    """The evaluation on dev, a stage of the round: `${stages.dev}`."""
    metric: str = "accuracy"
    row: str | None = None
    """Which row of the table; needed where it has several."""
    lower: bool = False
    """Less of the metric is better; of costs and cut solutions that is known."""
    uneven: str | None = None
    """Why the best was chosen out of more or fewer candidates than an arm that it is evaluated beside."""


class Stop(Choice):
    """When the rounds end: once the best so far has not been beaten by `min_gain`. Without `choose`, the best round is
    chosen by the same table."""

    min_gain: float = Field(0.0, ge=0)


class GridChoice(Choice):
    """How the best setting of a grid is chosen."""

    policy: str
    """The stage of the group that makes the policy."""


class Grid(_Part):
    """A group of stages that is repeated over the values of parameters."""

    over: dict[Name, list[Any] | dict[str, Any]] = Field(min_length=1)
    """Parameters and their values: `{beta: [0.1, 0.3]}`; `${grid.beta}` is the value inside the group."""
    stages: dict[Name, Stage] = Field(min_length=1)
    """`${grids.NAME.X[beta=0.3]}` is stage X of one setting, `${grids.NAME.X}` of all, by name."""
    choose: GridChoice | None = None
    """What makes `${grids.NAME.best}`."""


class Rounds(_Part):
    """A group of stages that is repeated up to `max` times."""

    max: int = Field(ge=1)
    stages: dict[Name, Stage] = Field(min_length=1)
    policy: str
    """The stage of the round that makes the round's policy: what `best`, `last` and `${init}` stand for."""
    start: dict[str, str] = {}
    """What `${previous.X}` means in the first round: `{tuned: "${stages.base}"}`."""
    init_from: Literal["base", "previous"] = "previous"
    """What `${init}` means: the `start` of the policy in every round, or the policy of the round before."""
    first: dict[Name, dict[str, Any]] = {}
    """What is different in round 1, by stage: `{trees: {scorer: {uses: constant}}}`. Maps are merged field by field;
    one that `uses` something else replaces the whole map."""
    vary: dict[Name, dict[str, Any]] = {}
    """Fields with another value in every round, by stage: `{sample: {n: [4, 8, 16]}}` is 4 in round 1, 8 in round 2."""
    stop: Stop | None = None
    choose: Choice | None = None
    """What makes `${rounds.NAME.best}`, whether or not a `stop` rule ends the rounds early."""

    @property
    def choice(self) -> Choice | None:
        """The rule behind `${rounds.NAME.best}`."""
        return self.choose or self.stop


class Recipe(_Part):
    """One recipe after includes and `--set`."""

    name: str = Field(min_length=1)
    description: str | None = None
    paper: str | None = None
    seed: int | None = Field(None, ge=0)
    """Default: 0."""
    seeds: list[Annotated[int, Field(ge=0)]] | None = Field(None, min_length=1)
    """Repeats the graph per seed; stands in place of `seed`."""
    include: list[str] = []
    """Files whose fields this recipe starts from: relative to it, to the current folder or to the installed
    checkout."""
    model: dict[str, Any] | None = None
    """The base model: config of the stage `model`, made by `${model}`."""
    task: dict[str, Any] | None = None
    """The task: `uses` and its fields. `${task.train}`, `${task.train.gold}`."""
    tasks: dict[Name, dict[str, Any]] = {}
    """Further tasks by name: `${tasks.NAME.SPLIT}`."""
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
            raise ValueError(f"seeds: each may be given once, got {self.seeds}")
        return self
