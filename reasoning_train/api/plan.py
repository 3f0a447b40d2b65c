"""The resolved stage graph of one recipe. The loader makes it; the runner, the worker and the report read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class StageNode:
    """One stage of the graph, e.g. `StageNode(name="sample", uses="sample", config={"policy": Ref("base"), "n": 8},
    seed=0, ...)`."""

    name: str
    """`sample`; implicit nodes are `model`, `task.train`, `task.train.gold`; in rounds `rounds.grow.2.sample`; with
    several seeds `sample@1`."""
    uses: str
    version: int
    config: dict[str, Any]
    """The validated config as plain values, with defaults filled in and a `Ref` for each input; without `uses`, `seed`
    and `resources`."""
    seed: int | None
    """None for stages that are not seeded."""
    key: str
    """sha256 over (uses, version, `asked` with input keys in place of references, `pieces`, seed), hex."""
    asked: dict[str, Any] = field(default_factory=dict)
    """The part of the config that enters the key: the fields that differ from their defaults, at every depth."""
    pieces: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Dotted path in the config -> (name, version) of the piece there: `{"search": ("mcts", 1)}`."""
    resources: dict[str, Any] = field(default_factory=dict)
    """`threads`, `shards`, ...; not part of the key."""
    inputs: tuple[str, ...] = ()
    """Names of the nodes that the config refers to, in order of first mention."""
    files: dict[str, str] = field(default_factory=dict)
    """Leaf files that entered the key: path -> sha256 of the bytes."""
    stop_gate: str | None = None
    """In rounds after the first: the node whose decision may turn this one into a pass-through."""
    previous: str | None = None
    """The node of the previous round that a pass-through points to."""
    notes: tuple[str, ...] = ()
    """What tables, verdicts and cards say of the artifact: evaluated problems that it learned from, and why."""
    learned_from: tuple[str, ...] = ()
    """A table has the nodes whose problems trained, labelled, calibrated or chose what it measures."""
    lessons: tuple[dict[str, Any], ...] = ()
    """A model or verifier has the problems that trained, labelled, calibrated or chose something on the way to it, by
    their sources (`ProblemSet.to_json`), so that another recipe that loads it knows them."""
    origin: str = ""
    """Where the recipe defines the stage, `file:line`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A resolved recipe. `nodes` is in topological order (inputs first)."""

    name: str
    path: str
    nodes: dict[str, StageNode]
    resolved: dict[str, Any]
    """The merged recipe as plain data, references as text: what `plan --resolved` prints."""
    origins: dict[str, str]
    """Dotted path of every value -> `file:line`, or `--set`."""
