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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, get_type_hints

from pydantic import BaseModel, ConfigDict

from data_gen.errors import UserError
from data_gen.registry import Registry
from reasoning_train.api.refs import Ref
from reasoning_train.process.memory.weights import WeightBytes


class StageConfig(BaseModel):
    """Base of all stage configs. Every field but references is hashed into the stage's key as it stands."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def placement_problems(self, world: int, deepspeed: str | None) -> Iterator[str]:
        """Why `world` processes under a DeepSpeed configuration cannot do the stage: told before a run, and asked by
        the worker."""
        return iter(())

    def weight_bytes(self, deepspeed: str | None) -> WeightBytes:
        """What a GPU holds of each weight of the model that the stage runs or trains; jobs ask for memory by it."""
        return WeightBytes()

    @property
    def reserved_share(self) -> float:
        """The share of each GPU's memory that an engine beside such a model takes."""
        return 0.0

    @property
    def row_names(self) -> list[str]:
        """Rows of the table that the stage makes, in order; empty where it makes none or only the run tells."""
        return []


@dataclass(frozen=True, slots=True)
class KindOf:
    """Stands for the kind of an output that is of the kind of an input: `outputs={"data": KindOf("sources")}`.

    The inputs that the field holds must all be of one kind; the recipe is refused otherwise.
    """

    field: str

    def __str__(self) -> str:
        return f"as {self.field}"


class GateError(UserError):
    """A stage refuses to hand on bad data: too few rows, one class only, no correct sample."""


@dataclass(frozen=True, slots=True)
class Input:
    """An opened input: the folder of one output of a finished artifact."""

    path: Path
    kind: str
    manifest: Mapping[str, Any]
    """The manifest of the artifact that the output belongs to."""


class Context(Protocol):
    """What a stage function may use beside its config. Implemented by the worker."""

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

    def output(self, name: str) -> Path:
        """An existing empty-at-start folder for output `name`; published when the stage returns."""

    def pending(self, items: Iterable[tuple[str, Any]], *, group_size: int = 1) -> Iterator[tuple[int, str, Any]]:
        """(order, key, item) of those of this shard that no attempt has recorded yet; keys are unique. Every
        `group_size` items in a row (the trees of one problem) are one shard's."""

    def record(self, order: int, key: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append one finished problem to the log, durably. Rows come out sorted by (order, position)."""

    def progress(self, done: int, total: int | None, **figures: float) -> None:
        """Tell the runner how far this attempt is: `done` of those that `pending` handed out, `total` over all
        shards."""

    def metric(self, name: str, value: Any) -> None:
        """Put a JSON value into the manifest's metrics."""

    def count(self, name: str, n: int = 1) -> None:
        """Add to a counter of the manifest: `in`, `out`, `dropped.<reason>`, `tokens.<what>`. Shards are summed."""

    def history(self, **figures: float) -> None:
        """Append one point to the stage's curves (`step=..., loss=...`): manifest-side JSON Lines, drawn by the
        report."""


def gate(ok: bool, message: str) -> None:
    """Raise GateError with `message` unless `ok`."""
    if not ok:
        raise GateError(message)


def at_most(known: int | None, limit: int | None) -> int | None:
    """For estimators: how many rows of an input a stage with a `limit` reads; None where nobody can tell yet."""
    return min((number for number in (known, limit) if number is not None), default=None)


Sizes = Callable[[Ref], dict[str, Any]]
"""What an estimator knows of an input: its own estimate, or the exact rows of a finished artifact."""


@dataclass(frozen=True, slots=True)
class Maker:
    """A stage that may have made what a reference leads to, e.g. `Maker("rounds.grow.1.tuned", "sft", config)`."""

    name: str
    uses: str
    config: Any
    """Validated, of the class that its stage type has."""


class Made(Protocol):
    """What a check may ask about the stages that a config refers to. What did not fit itself is not among them."""

    def __call__(self, ref: Ref) -> Mapping[str, Any]:
        """The config of the stage behind a reference as plain data, {} where that did not fit itself."""

    def makers(self, ref: Ref) -> list[Maker]:
        """The stage behind a reference and, where that may pass on the artifact of the round before, that one's."""

    def origins(self, ref: Ref) -> list[Maker]:
        """The stages that first made the rows or the model: choices, selections and merges are followed (`carries`)."""


@dataclass(slots=True)
class StageDef:
    """A registered stage. Calling it runs the function; `finish` sets what runs once over the merged rows."""

    name: str
    version: int
    config: type[StageConfig]
    run: Callable[[Any, Any], None]
    outputs: dict[str, str | KindOf]
    """Output name -> kind; the first is the main output."""
    unit: Literal["problem", "whole"]
    seeded: bool | Callable[[Any], bool]
    """False, or a function of the config that says so: the recipe's seed does not reach the key, so all seeds share the
    artifact."""
    across_seeds: bool
    """True: with `seeds: [...]` the stage runs once and each of its references becomes the list over all seeds."""
    heavy: bool
    """True: needs torch; False: may run where torch is not imported."""
    distributed: bool
    """True: a trainer, which several processes of a torchrun may run together."""
    scores: bool
    """True: runs a model, without an `engine`, over what it reads; a GPU is of use."""
    carries: str | None
    """The field whose rows or model are handed on in the main output, picked or with columns added, but no others."""
    after: Callable[[Any, Any, Iterable[dict[str, Any]]], None] | None = field(default=None)
    estimator: Callable[[Any, Sizes], dict[str, Any]] | None = field(default=None)
    checker: Callable[[Any, Made], Iterable[tuple[str, str]]] | None = field(default=None)

    def is_seeded(self, config: StageConfig) -> bool:
        """Whether a stage with this config draws random numbers."""
        return self.seeded(config) if callable(self.seeded) else self.seeded

    def alone(self, config: Mapping[str, Any]) -> bool:
        """Whether one process is to do the whole stage unless the recipe asks for shards: its engine says so."""
        engine = getattr(self.config.model_validate(config), "engine", None)
        return engine is not None and engine.alone

    def kinds(self, config: StageConfig, kind_of: Callable[[Ref], str]) -> dict[str, str]:
        """Output name -> kind for one config; `kind_of` gives the kind of the output behind a reference."""
        return {
            name: kind_of(next(refs_of(getattr(config, kind.field)))) if isinstance(kind, KindOf) else kind
            for name, kind in self.outputs.items()
        }

    @property
    def main(self) -> str:
        """Name of the main output."""
        return next(iter(self.outputs))

    def finish(self, function: Callable[[Any, Any, Iterable[dict[str, Any]]], None]) -> Callable[..., None]:
        """Decorator for `f(config, ctx, rows)`: metrics, further outputs and gates once all shards are merged."""
        self.after = function
        return function

    def estimate(self, function: Callable[[Any, Sizes], dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        """Decorator for `f(config, sizes)`: upper limits before the run, any of `rows` (of the main output), `records`
        (problems), `tokens` (generated), `calls`, `memory_bytes`, `parameters`. `sizes(ref)` is the same of an input,
        {} where unknown."""
        self.estimator = function
        return function

    def check(
        self, function: Callable[[Any, Made], Iterable[tuple[str, str]]]
    ) -> Callable[..., Iterable[tuple[str, str]]]:
        """Decorator for `f(config, made)`: (field, what is wrong with it) where the config does not fit those of the
        stages that it refers to, told when the recipe loads."""
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
) -> Callable[[Callable[[Any, Any], None]], StageDef]:
    """Register a stage; the config model is read from the function's first annotation. `carries` is by default the
    field of a `KindOf` output."""

    def enter(function: Callable[[Any, Any], None]) -> StageDef:
        parameters = list(inspect.signature(function).parameters)
        config = get_type_hints(function)[parameters[0]]
        same_kind = next((kind.field for kind in outputs.values() if isinstance(kind, KindOf)), None)
        made = StageDef(
            name,
            version,
            config,
            function,
            dict(outputs),
            unit,
            seeded,
            across_seeds,
            heavy,
            distributed,
            scores,
            carries or same_kind,
        )
        return STAGES.register(name)(made)

    return enter
