"""A store with a plan that grows stage by stage: hand-made inputs, and real stages run by the worker over them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_gen.format import Format, TaskFormat
from data_gen.records.problem import Problem
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from data_gen.records.trees import Tree
from data_gen.records.verdict import Verdict
from data_gen.verifiers.heads import HeadConfig
from reasoning_train.api.plan import Plan, StageNode
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import STAGES, Context, StageConfig, stage
from reasoning_train.models.policy import Policy, load_policy
from reasoning_train.store.inputs import write_tasks
from reasoning_train.store.rows import Rows, write_rows
from reasoning_train.store.store import Artifact, Store
from reasoning_train.worker.run_node import run_node

if TYPE_CHECKING:
    import torch

CHAIN = {"uses": "chain", "seed": 0, "train": 24, "explore": 8, "dev": 8, "test": 8, "steps": [1, 2]}
MODEL = {
    "init": {"hidden_size": 32, "layers": 1, "heads": 2, "intermediate_size": 64, "max_length": 128, "init_std": 0.12},
    "tokenizer": "task",
}


class GivenConfig(StageConfig):
    """Rows and metrics of an input that a test makes by hand."""

    rows: list[dict[str, Any]]
    metrics: dict[str, Any] = {}
    task: dict[str, Any] = {}
    tasks: dict[str, dict[str, Any]] = {}


def _given(name: str, kind: str) -> None:
    @stage(name, version=1, outputs={"data": kind}, heavy=False)
    def given(config: GivenConfig, ctx: Context) -> None:
        """Rows by hand."""
        write_rows(ctx.output("data"), kind, config.rows)
        if kind == "problems":
            write_tasks(ctx.output("data"), {"": config.task, **config.tasks} if config.task else config.tasks)
        for metric, value in config.metrics.items():
            ctx.metric(metric, value)


KINDS = {
    "t_problems": "problems",
    "t_solutions": "solutions",
    "t_pairs": "pairs",
    "t_targets": "value_targets",
    "t_evaluation": "table",
}
for _name, _kind in KINDS.items():
    _given(_name, _kind)


@stage("t_trees", version=1, outputs={"trees": "trees"}, heavy=False)
def given_trees(config: GivenConfig, ctx: Context) -> None:
    """Trees by hand."""
    write_rows(ctx.output("trees"), "trees", config.rows)
    for name, value in config.metrics.items():
        ctx.metric(name, value)


class GivenVerifierConfig(StageConfig):
    """A random verifier over the words of the chain task."""

    head: HeadConfig = HeadConfig()
    task_format: TaskFormat = TaskFormat()
    nan: bool = False
    """Its bias is NaN."""


@stage("t_verifier", version=1, outputs={"verifier": "verifier"})
def given_verifier(config: GivenVerifierConfig, ctx: Context) -> None:
    """2 layers x 32 with weights from the seed."""
    import torch

    from data_gen.verifiers.checkpoint import save_verifier
    from tests.data_gen.verifiers.tiny import verifier

    made = verifier(config.head, seed=ctx.seed, fmt=Format(task=config.task_format))
    if config.nan:
        torch.nn.init.constant_(made.head.score.bias, float("nan"))
    save_verifier(made, ctx.output("verifier"))


class Bench:
    """`bench.make("kept", "select", solutions=ref)` runs a stage in this process and returns its artifact."""

    def __init__(self, root: Path) -> None:
        self.store = Store(root)
        self.nodes: dict[str, StageNode] = {}

    @property
    def plan(self) -> Plan:
        """Everything added so far."""
        return Plan(name="bench", path="bench.yaml", nodes=dict(self.nodes), resolved={"name": "bench"}, origins={})

    def add(self, name: str, uses: str, *, seed: int = 0, **config: Any) -> Ref:
        """Enter a stage without running it."""
        definition = STAGES.get(uses)
        definition.config.model_validate(config)
        own = seed if definition.seeded is not False else None
        key = hashlib.sha256(json.dumps([name, uses, self._keyed(config), own], sort_keys=True).encode()).hexdigest()
        inputs = tuple(dict.fromkeys(_references(config)))
        self.nodes[name] = StageNode(
            name=name, uses=uses, version=definition.version, config=config, seed=own, key=key, inputs=inputs
        )
        return Ref(name)

    def run(self, name: str) -> Artifact:
        """Run a stage whose inputs are finished."""
        run_node(self.plan, name, self.store, report=lambda event: None)
        return self.store.open(self.nodes[name])

    def policy(self, name: str = "model") -> Policy:
        """The model that a finished stage published."""
        return load_policy(self.store.open(self.nodes[name]).path / "model")

    def recorded(self, name: str) -> int:
        """Number of problems in the logs of an unfinished stage."""
        return sum(path.read_bytes().count(b"\n") for path in self.store.partial(self.nodes[name]).glob("log-*"))

    def make(self, name: str, uses: str, *, seed: int = 0, **config: Any) -> Artifact:
        """Add and run."""
        self.add(name, uses, seed=seed, **config)
        return self.run(name)

    def given(self, name: str, uses: str, rows: Sequence[Mapping[str, Any]], **more: Any) -> Ref:
        """A hand-made input of one of the `t_` stages."""
        self.make(name, uses, rows=[dict(row) for row in rows], **more)
        return Ref(name)

    def problems(self, name: str, rows: Sequence[Problem], task: Mapping[str, Any] = CHAIN, **metrics: Any) -> Ref:
        """Problems by hand."""
        return self.given(name, "t_problems", [row.to_row() for row in rows], task=dict(task), metrics=metrics)

    def solutions(self, name: str, rows: Sequence[Solution], **metrics: Any) -> Ref:
        """Solutions by hand."""
        return self.given(name, "t_solutions", [row.to_row() for row in rows], metrics=metrics)

    def trees(self, name: str, rows: Sequence[Tree], **metrics: Any) -> Ref:
        """Trees by hand."""
        return self.given(name, "t_trees", [row for tree in rows for row in tree.to_rows()], metrics=metrics)

    def model(self, name: str = "model", **overrides: Any) -> Ref:
        """A fresh 1-layer policy over the chain task's words."""
        from data_gen.tasks.chain import Chain

        self.make(name, "model", **{**MODEL, "vocabulary": Chain(uses="chain").vocabulary(), **overrides})
        return Ref(name)

    def verifier(self, name: str = "verifier", **config: Any) -> Ref:
        """A random verifier that reads the ids of `model()`."""
        self.make(name, "t_verifier", **config)
        return Ref(name)

    def gold(self, name: str = "gold", task: Mapping[str, Any] = CHAIN) -> Ref:
        """Worked solutions of the chain task's training split; its problems are `<name>.problems`."""
        self.make(f"{name}.problems", "problems", task=dict(task), split="train")
        self.make(name, "gold", problems=Ref(f"{name}.problems"))
        return Ref(name)

    def _keyed(self, value: Any) -> Any:
        if isinstance(value, Ref):
            return {"key": self.nodes[value.node].key}
        if isinstance(value, Mapping):
            return {k: self._keyed(v) for k, v in value.items()}
        return [self._keyed(v) for v in value] if isinstance(value, (list, tuple)) else value


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, Ref):
        yield value.node
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _references(item)


def rows_of(artifact: Artifact) -> list[dict[str, Any]]:
    """All rows of an artifact's main output."""
    return list(Rows(artifact.path / next(iter(artifact.manifest["outputs"]))))


def points(artifact: Artifact) -> list[dict[str, float]]:
    """All that a training watched, point by point."""
    return [json.loads(line) for line in (artifact.path / "history.jsonl").read_text().splitlines()]


def weights(artifact: Artifact) -> dict[str, torch.Tensor]:
    """Weights of the model that a stage published."""
    from safetensors.torch import load_file

    return load_file(artifact.path / "model" / "model.safetensors")


def problem(
    name: str, question: str = "Ana has 12 coins. How many has Ana?", gold: str | None = "12", **more: Any
) -> Problem:
    """A problem whose group is its id."""
    return Problem(**{"id": name, "question": question, "gold": gold, "group": name, "split": "train", **more})


def solution(problem_id: str, text: str, *, sample: int = 0, verdict: str = "correct", **more: Any) -> Solution:
    """A sampled solution of one segment, without token ids."""
    segments = (Segment(kind=Kind.STEP, text=text),)
    fields: dict[str, Any] = {"prompt": "Ana has 1.", "segments": segments, "answer": "12", "finish": "stop", **more}
    return Solution(problem_id=problem_id, sample=sample, verdict=Verdict(verdict), **fields)
