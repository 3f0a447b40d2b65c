"""Collects what the report shows from manifests: those of a run, or of the artifacts that a `report` stage gets."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from reasoning_train.api.plan import Plan, StageNode
from reasoning_train.evaluation.figures import figures
from reasoning_train.evaluation.report.chart_svg import Point, chart_svg
from reasoning_train.evaluation.report.graph_svg import Box
from reasoning_train.evaluation.report.grown import TreeView, labels_view, tree_views
from reasoning_train.store.rows import CorruptRows, Rows
from reasoning_train.store.state_files import Shape, read_json_lines
from reasoning_train.store.store import Artifact, Store

EXAMPLES = 3
"""Number of problems shown with the solutions of every policy."""
SCANNED_ROWS = 20_000
"""Rows of a table that are scanned for examples, so that the page takes seconds for any size of table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageView:
    """A stage on the page. `inputs`: names of other views. `curves`: (title, svg)."""

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
        """The second line of the stage's box."""
        wall = self.manifest.get("wall_s")
        return f"{self.uses} · {self.state}" + (f" · {wall:.0f} s" if wall is not None and wall >= 1 else "")

    @property
    def figures(self) -> str:
        """The stage's shown metrics."""
        return ", ".join(figures(self.manifest))

    @property
    def table(self) -> dict[str, Any] | None:
        """The table among the stage's metrics."""
        return self.manifest.get("metrics", {}).get("table")

    @property
    def tables(self) -> list[dict[str, Any]]:
        """The table and the tables by group of problems."""
        return [self.table, *self.manifest["metrics"].get("by", [])] if self.table else []

    @property
    def overlap(self) -> list[str]:
        """How many of a table's problems overlap, as texts, with each set that was learned from."""
        found = self.manifest.get("metrics", {}).get("overlap", [])
        return [f"{one['evaluated']} with {one['learned_from']}: {_overlapping(one)}" for one in found]

    @property
    def labels(self) -> tuple[str, str] | None:
        """(title, svg) of the histogram of the stage's labels."""
        return labels_view(self.manifest)


def _overlapping(one: Mapping[str, Any]) -> str:
    if one["overlapping"] is None:
        return "not checked, since the problems that were learned from are in the store no more"
    return f"{one['overlapping']} of {one['problems']} ({one['by']})"


def run_views(plan: Plan, state: Mapping[str, Any], store: Store) -> list[StageView]:
    """All stages of a run in graph order, with their manifests."""
    return [_run_view(node, state["nodes"][name], store.find(node)) for name, node in plan.nodes.items()]


def per_artifact(views: Sequence[StageView]) -> list[StageView]:
    """One view for each artifact. Stages that ask for the same thing share an artifact, whose work was done once."""
    return list({view.key: view for view in views}.values())


def count_stages(views: Sequence[StageView]) -> str:
    """`"41 stages"`, or `"41 stages (39 artifacts)"` where stages share artifacts."""
    artifacts = len(per_artifact(views))
    return f"{len(views)} stages" + (f" ({artifacts} artifacts)" if artifacts < len(views) else "")


def _run_view(node: StageNode, state: Mapping[str, Any], artifact: Artifact | None) -> StageView:
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
    """Views of finished artifacts, named by their nodes, in topological order. Only edges between them are kept."""
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


class _Point(Shape):
    step: float
    __pydantic_extra__: dict[str, float]


def _curves(artifact: Path) -> Iterator[tuple[str, str]]:
    """(title, svg) of every metric in an artifact's history file, drawn over `step`."""
    series: dict[str, list[Point]] = {}
    for point in read_json_lines(artifact / "history.jsonl", _Point):
        for name, value in point.items():
            if name != "step":
                series.setdefault(name, []).append((point["step"], value))
    for name, points in series.items():
        if len(points) > 1:
            yield f"{name}: {points[-1][1]:.4g} at step {points[-1][0]:g}", chart_svg(points, name)


def examples(table: Path) -> list[dict[str, Any]]:
    """Problems with each policy's solution, those first on which policies have different verdicts: they show what
    training changed."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    with contextlib.suppress(CorruptRows):  # the stages that read them report that
        for row in itertools.islice(Rows(table), SCANNED_ROWS):
            found.setdefault(row["problem_id"], {})[row["policy"]] = row
    most = max((len(policies) for policies in found.values()), default=0)
    complete = [policies for policies in found.values() if len(policies) == most]
    complete.sort(key=lambda policies: -len({row["verdict"] for row in policies.values()}))
    return [_example(policies) for policies in complete[:EXAMPLES]]


def _example(policies: dict[str, dict[str, Any]]) -> dict[str, Any]:
    first = next(iter(policies.values()))
    return {"question": first["question"], "gold": first["gold"], "policies": policies}
