"""What the report shows, read from manifests: those of a run, or those of the artifacts that a stage was given."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from reasoning_train.api.plan import Node, Plan
from reasoning_train.evaluation.figures import figures
from reasoning_train.evaluation.report.chart_svg import Point, chart_svg
from reasoning_train.evaluation.report.graph_svg import Box
from reasoning_train.evaluation.report.grown import TreeView, labels_view, tree_views
from reasoning_train.store.rows import Rows
from reasoning_train.store.store import Artifact, Store

EXAMPLES = 3
"""Problems shown with the solutions of every policy."""
SCANNED_ROWS = 20_000
"""Rows of a table that are looked at for examples, so that the page is made in seconds whatever the size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageView:
    """A stage as the page lists it; `inputs` are names of other views, `curves` are (title, svg)."""

    name: str
    uses: str
    key: str
    seed: int | None
    state: str
    error: str = ""
    manifest: Mapping[str, Any] = field(default_factory=dict)
    """Empty while there is no artifact."""
    inputs: tuple[str, ...] = ()
    curves: tuple[tuple[str, str], ...] = ()
    trees: tuple[TreeView, ...] = ()

    @property
    def note(self) -> str:
        """Second line of the stage's box."""
        wall = self.manifest.get("wall_s")
        return f"{self.uses} · {self.state}" + (f" · {wall:.0f} s" if wall is not None and wall >= 1 else "")

    @property
    def figures(self) -> str:
        """The metrics that are worth a line."""
        return ", ".join(figures(self.manifest))

    @property
    def table(self) -> dict[str, Any] | None:
        """The table that the stage left among its metrics."""
        return self.manifest.get("metrics", {}).get("table")

    @property
    def tables(self) -> list[dict[str, Any]]:
        """The table, and those by groups of problems."""
        return [self.table, *self.manifest["metrics"].get("by", [])] if self.table else []

    @property
    def labels(self) -> tuple[str, str] | None:
        """(title, svg) of the histogram of its labels."""
        return labels_view(self.manifest)


def run_views(plan: Plan, state: Mapping[str, Any], store: Store) -> list[StageView]:
    """All stages of a run in graph order, with what their manifests say."""
    return [_run_view(node, state["nodes"][name], store.find(node)) for name, node in plan.nodes.items()]


def _run_view(node: Node, state: Mapping[str, Any], artifact: Artifact | None) -> StageView:
    return StageView(
        name=node.name,
        uses=node.uses,
        key=node.key,
        seed=node.seed,
        state=state["state"],
        error=state.get("error", ""),
        inputs=node.inputs,
        **(_contents(artifact) if artifact else {}),
    )


def _contents(artifact: Artifact) -> dict[str, Any]:
    return {
        "manifest": artifact.manifest,
        "curves": tuple(_curves(artifact.path)),
        "trees": tree_views(artifact.path, artifact.manifest),
    }


def artifact_views(artifacts: Mapping[str, Artifact]) -> list[StageView]:
    """Finished artifacts by the names of their nodes, those first that others were made from; edges between them
    only."""
    names = {artifact.manifest["key"]: name for name, artifact in artifacts.items()}
    inputs = {
        name: tuple(names[made["key"]] for made in artifact.manifest["inputs"].values() if made["key"] in names)
        for name, artifact in artifacts.items()
    }
    return [_artifact_view(name, artifacts[name], inputs[name]) for name in TopologicalSorter(inputs).static_order()]


def _artifact_view(name: str, artifact: Artifact, inputs: tuple[str, ...]) -> StageView:
    manifest = artifact.manifest
    return StageView(
        name=name,
        uses=manifest["uses"],
        key=manifest["key"],
        seed=manifest["seed"],
        state="done",
        inputs=inputs,
        **_contents(artifact),
    )


def boxes(views: Sequence[StageView]) -> dict[str, Box]:
    """The graph's boxes."""
    return {v.name: Box(v.name, v.uses, v.state, v.note, v.inputs) for v in views}


def _curves(artifact: Path) -> Iterator[tuple[str, str]]:
    """(title, svg) of every figure in an artifact's history file, drawn over its `step`."""
    path = artifact / "history.jsonl"
    if not path.exists():
        return
    series: dict[str, list[Point]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        point = json.loads(line)
        for name, value in point.items():
            if name != "step":
                series.setdefault(name, []).append((point["step"], value))
    for name, points in series.items():
        if len(points) > 1:
            yield f"{name}: {points[-1][1]:.4g} at step {points[-1][0]:g}", chart_svg(points, name)


def examples(table: Path) -> list[dict[str, Any]]:
    """Problems on which the policies of an evaluation differ, with each one's greedy solution: they show what the
    training changed."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in itertools.islice(Rows(table), SCANNED_ROWS):
        found.setdefault(row["problem_id"], {})[row["policy"]] = row
    most = max((len(policies) for policies in found.values()), default=0)
    complete = [policies for policies in found.values() if len(policies) == most]
    complete.sort(key=lambda policies: -len({row["verdict"] for row in policies.values()}))
    return [_example(policies) for policies in complete[:EXAMPLES]]


def _example(policies: dict[str, dict[str, Any]]) -> dict[str, Any]:
    first = next(iter(policies.values()))
    return {"question": first["question"], "gold": first["gold"], "policies": policies}
