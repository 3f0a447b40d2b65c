"""What a stage is: one config model, one function, one decorator.

    class SampleConfig(StageConfig):
        policy: ModelRef
        problems: ProblemsRef
        n: int = 8

    @stage("sample", version=1, outputs={"data": "solutions"}, unit="problem")
    def sample(config: SampleConfig, ctx: Context) -> None:
        ...

A `unit="problem"` stage records finished problems with `ctx.record` and may run as several shards; the runner then
merges the records into the main output and calls the function given to `@sample.finish`, which sees all rows.
A `unit="whole"` stage writes its outputs under `ctx.output(name)` itself. Files of stages import nothing heavy at top
level.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, get_type_hints

from pydantic import BaseModel, ConfigDict

from data_gen.errors import UserError
from data_gen.registry import Piece, Registry, Unkeyed
from reasoning_train.api.refs import Ref
from reasoning_train.process.memory.weights import WeightBytes


class StageConfig(BaseModel):
    """Base of all stage configs.

    Fields that differ from their defaults enter the stage's key, except `Unkeyed` ones. References enter it as keys.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    def placement_problems(self, world: int, deepspeed: str | None) -> Iterator[str]:
        """Why `world` processes under a DeepSpeed configuration cannot run the stage. It is checked before a run, and
        again by the worker."""
        return iter(())

    def weight_bytes(self, deepspeed: str | None) -> WeightBytes:
        """Bytes per weight of the model that the stage runs or trains. Jobs request GPU memory by it."""
        return WeightBytes()

    def division(self) -> tuple[int, int, int] | None:
        """(number of parts, salt, part) of a stage that keeps one part of its problems: different parts of one division
        share none. None for other stages. Claims may be measured on one part while another is trained on."""
        return None

    @property
    def reserved_share(self) -> float:
        """Share of each GPU's memory that an engine beside the model reserves."""
        return 0.0

    @property
    def row_names(self) -> list[str]:
        """Names of the rows of the stage's table, in order. Empty if it makes no table or the names are known only
        after the run."""
        return []

    @property
    def other_conventions(self) -> Set[str]:
        """Fields whose inputs may follow other text conventions than the other inputs do."""
        return frozenset()

    @property
    def arms(self) -> Mapping[str, Sequence[Ref]]:
        """Row of the stage's table -> the models, or the rows made with them, that distinguish it. Empty if it makes no
        table."""
        return {}


@dataclass(frozen=True, slots=True)
class KindOf:
    """Gives an output the kind of an input: `outputs={"data": KindOf("sources")}`.

    All inputs in the field must have the same kind; otherwise the recipe is refused.
    """

    field: str

    def __str__(self) -> str:
        return f"as {self.field}"


class GateError(UserError):
    """A stage refuses to publish bad data: too few rows, only one class, no correct sample."""


class Gate(Unkeyed):
    """Marks a field that is the bar of a gate: `min_rows: Annotated[int, Gate()] = Field(1, ge=1)`.

    A bar decides whether an artifact is published, and nothing in it, so it is no part of the key. It is checked when
    the stage runs: an artifact that was published under a lower bar stays valid when the bar is raised. The manifest
    keeps the bars, and `plan` says where they differ from those of the recipe.
    """


@dataclass(frozen=True, slots=True)
class Input:
    """An opened input: the folder of one output of a finished artifact."""

    path: Path
    kind: str
    manifest: Mapping[str, Any]
    """The manifest of the artifact that the output belongs to."""


class Context(Protocol):
    """What a stage function may use in addition to its config. The worker implements it."""

    seed: int
    """The stage's resolved seed; 0 for stages registered with `seeded=False`."""
    shard: tuple[int, int]
    """(k, n): this process handles every n-th problem, starting with the k-th."""
    threads: int
    """Intra-op threads that this process may use."""
    deepspeed: str | None
    """`resources.deepspeed`: which DeepSpeed configuration a trainer runs under."""
    partial: Path
    """Folder for progress that survives a kill (trainer checkpoints); removed when the stage closes."""

    def input(self, ref: Ref) -> Input:
        """The finished artifact behind a reference, pass-throughs followed."""

    def earlier(self) -> tuple[int, Input] | None:
        """The main output of a published artifact that asked for less of the same (see `StageDef.grows`): the smaller
        number, and the rows to continue."""

    def output(self, name: str) -> Path:
        """The folder of output `name`. It is empty at the start and published when the stage returns."""

    def place(self, path: Path) -> str:
        """The sha256 of a file or folder outside the store. The store notes where it lies, so that outputs can refer to
        it by its bytes."""

    def pending(self, items: Iterable[tuple[str, Any]], *, group_size: int = 1) -> Iterator[tuple[int, str, Any]]:
        """(order, key, item) of this shard's items that no attempt has recorded yet. Keys are unique. Each run of
        `group_size` consecutive items (the trees of one problem) belongs to one shard."""

    def record(self, order: int, key: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append one finished problem to the log, durably. The merged rows are sorted by (order, position)."""

    def progress(self, done: int, total: int | None, **figures: float) -> None:
        """Report progress to the runner: `done` counts the items that `pending` yielded, `total` counts over all
        shards."""

    def metric(self, name: str, value: Any) -> None:
        """Put a JSON value into the manifest's metrics."""

    def count(self, name: str, n: int = 1) -> None:
        """Add to a counter of the manifest: `in`, `out`, `dropped.<reason>`, `tokens.<what>`. Counters are summed over
        shards."""

    def history(self, **figures: float) -> None:
        """Append one point to the stage's curves (`step=..., loss=...`). They are stored as JSON Lines beside the
        manifest, and the report plots them."""


def gate(ok: bool, message: str) -> None:
    """Raise GateError with `message` unless `ok`."""
    if not ok:
        raise GateError(message)


def at_most(known: int | None, limit: int | None) -> int | None:
    """For estimators: how many rows of an input a stage with a `limit` reads. None if that is not known yet."""
    return min((number for number in (known, limit) if number is not None), default=None)


Sizes = Callable[[Ref], dict[str, Any]]
"""What an estimator knows about an input: its estimate, or the exact rows of a finished artifact."""


def rows_of(field: str) -> Callable[[Any, Sizes], dict[str, Any]]:
    """Estimator of a stage that makes at most one row per row of the input in `field`."""

    def at_most_its_rows(config: Any, sizes: Sizes) -> dict[str, Any]:
        """The number of the input's rows, if it is known."""
        return {name: value for name, value in sizes(getattr(config, field)).items() if name == "rows"}

    return at_most_its_rows


@dataclass(frozen=True, slots=True)
class Maker:
    """A stage that may have made what a reference points to, e.g. `Maker("rounds.grow.1.tuned", "sft", config)`."""

    name: str
    uses: str
    config: Any
    """Validated; an instance of the stage type's config class."""
    seed: int | None = None
    """Its resolved seed. None if it draws no random numbers."""


class Made(Protocol):
    """What a check may ask about the stages that a config refers to. Stages whose own config is invalid are absent."""

    def __call__(self, ref: Ref) -> Mapping[str, Any]:
        """The config of the stage behind a reference as plain data, {} if that config is invalid."""

    def makers(self, ref: Ref) -> list[Maker]:
        """The stage behind a reference and, if it may pass on an artifact of the previous round, that round's stage."""

    def origins(self, ref: Ref) -> list[Maker]:
        """The stages that first made the rows or the model. Stages that only choose, select or merge are followed to
        their inputs (`carries`)."""


Learns = Literal["trains", "labels", "calibrates", "chooses"]
"""What a stage does with the problems behind its inputs: it trains on them, makes training data of them, fits a
calibration to them, or chooses by them."""


@dataclass(slots=True, kw_only=True)
class StageDef:
    """A registered stage. `run` is its function; `finish` sets the function that runs once over the merged rows."""

    name: str
    version: int
    config: type[StageConfig]
    run: Callable[[Any, Any], None]
    outputs: dict[str, str | KindOf]
    """Output name -> kind; the first is the main output."""
    unit: Literal["problem", "whole"]
    seeded: bool | Callable[[Any], bool]
    """Whether the stage draws random numbers, or a function of the config that says so. If not, the recipe's seed is
    not in the key, so all seeds share the artifact."""
    across_seeds: bool
    """True: with `seeds: [...]` the stage runs once and each of its references becomes the list over all seeds."""
    heavy: bool
    """True: the stage needs torch. False: it may run in a process without torch."""
    distributed: bool
    """True: a trainer, which several processes of a torchrun may run together."""
    scores: bool
    """True: the stage runs a model over its inputs without an `engine`, so a GPU helps."""
    carries: str | None
    """The field whose rows or model the main output passes on, perhaps filtered or with more columns, but with no new
    ones."""
    learns: Learns | None
    """How what it makes depends on the problems that its inputs descend from. None: it only reads, measures or passes
    on. Evaluated problems must not reach a stage that learns."""
    learns_from: tuple[str, ...]
    """Fields whose problems it learns from; empty: all. What it measures on the problems of its other fields may not
    have taught it anything."""
    avoids: tuple[str, ...]
    """Fields whose problems its outputs do not descend from, since the stage keeps away from them."""
    grows: str | None
    """The field, a number, by which an artifact continues the one with a smaller number (`Context.earlier`)."""
    always: tuple[type[Piece], ...]
    """Pieces that the stage uses whatever its config says, e.g. `(Majority,)`. Their versions enter its key."""
    after: Callable[[Any, Any, Iterable[dict[str, Any]]], None] | None = field(default=None)
    estimator: Callable[[Any, Sizes], dict[str, Any]] | None = field(default=None)
    checker: Callable[[Any, Made], Iterable[tuple[str, str]]] | None = field(default=None)
    completer: Callable[[Any, Made], StageConfig] | None = field(default=None)

    def is_seeded(self, config: StageConfig) -> bool:
        """Whether a stage with this config draws random numbers."""
        return self.seeded(config) if callable(self.seeded) else self.seeded

    def alone(self, config: Mapping[str, Any]) -> bool:
        """Whether one process does the whole stage unless the recipe asks for shards. The engine decides; without one,
        a stage that runs a model loads it once."""
        engine = getattr(self.config.model_validate(config), "engine", None)
        return self.scores if engine is None else engine.alone

    def kinds(self, config: StageConfig, kind_of: Callable[[Ref], str]) -> dict[str, str]:
        """Output name -> kind for one config; `kind_of` gives the kind of the output behind a reference."""
        return {
            name: kind_of(next(refs_of(getattr(config, kind.field)))) if isinstance(kind, KindOf) else kind
            for name, kind in self.outputs.items()
        }

    @property
    def bars(self) -> list[str]:
        """Names of the config's fields that are bars of gates."""
        fields = self.config.model_fields.items()
        return [name for name, field in fields if any(isinstance(mark, Gate) for mark in field.metadata)]

    @property
    def main(self) -> str:
        """Name of the main output."""
        return next(iter(self.outputs))

    def finish(self, function: Callable[[Any, Any, Iterable[dict[str, Any]]], None]) -> Callable[..., None]:
        """Decorator for `f(config, ctx, rows)`: metrics, further outputs and gates once all shards are merged."""
        self.after = function
        return function

    def estimate(self, function: Callable[[Any, Sizes], dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        """Decorator for `f(config, sizes)`, which returns upper limits before the run: any of `rows` (of the main
        output), `records` (problems), `tokens` (generated), `calls`, `memory_bytes`, `parameters`. `sizes(ref)` gives
        the same for an input, {} if unknown."""
        self.estimator = function
        return function

    def complete(self, function: Callable[[Any, Made], StageConfig]) -> Callable[..., StageConfig]:
        """Decorator for `f(config, made)`, which returns the config with the fields filled that follow from the stages
        that it refers to. It runs when the recipe loads, before the key is made."""
        self.completer = function
        return function

    def check(
        self, function: Callable[[Any, Made], Iterable[tuple[str, str]]]
    ) -> Callable[..., Iterable[tuple[str, str]]]:
        """Decorator for `f(config, made)`, which yields (field, what is wrong with it) if the config does not fit the
        stages that it refers to. It runs when the recipe loads."""
        self.checker = function
        return function


def refs_of(value: Any) -> Iterator[Ref]:
    """Every reference inside a validated config, in order of its fields."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, BaseModel):
        yield from refs_of([getattr(value, name) for name in type(value).model_fields])
    elif isinstance(value, (Mapping, list, tuple)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from refs_of(item)


STAGES: Registry[StageDef] = Registry("stage", package="reasoning_train.stages", group="reasoning_train.stages")
"""Name -> StageDef."""


def stage(
    name: str,
    *,
    version: int,
    outputs: Mapping[str, str | KindOf],
    unit: Literal["problem", "whole"] = "whole",
    seeded: bool | Callable[[Any], bool] = True,
    across_seeds: bool = False,
    heavy: bool = True,
    distributed: bool = False,
    scores: bool = False,
    carries: str | None = None,
    learns: Learns | None = None,
    learns_from: Sequence[str] = (),
    avoids: Sequence[str] = (),
    grows: str | None = None,
    always: Sequence[type[Piece]] = (),
) -> Callable[[Callable[[Any, Any], None]], StageDef]:
    """Register a stage; the config model is read from the function's first annotation. `carries` is by default the
    field of a `KindOf` output; a `distributed` stage is a trainer and `learns`. `learns_from`: for a stage that chooses
    on dev problems what it then measures on others."""

    def enter(function: Callable[[Any, Any], None]) -> StageDef:
        """The stage of a function, registered."""
        parameters = list(inspect.signature(function).parameters)
        config = get_type_hints(function)[parameters[0]]
        same_kind = next((kind.field for kind in outputs.values() if isinstance(kind, KindOf)), None)
        made = StageDef(
            name=name,
            version=version,
            config=config,
            run=function,
            outputs=dict(outputs),
            unit=unit,
            seeded=seeded,
            across_seeds=across_seeds,
            heavy=heavy,
            distributed=distributed,
            scores=scores,
            carries=carries or same_kind,
            learns=learns or ("trains" if distributed else None),
            learns_from=tuple(learns_from),
            avoids=tuple(avoids),
            grows=grows,
            always=tuple(always),
        )
        return STAGES.register(name)(made)

    return enter
