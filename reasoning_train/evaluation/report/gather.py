"""What the report shows, read from the run's folder and the manifests it reaches."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reasoning_train.evaluation.report.chart_svg import Point, chart_svg
from reasoning_train.evaluation.report.graph_svg import Box
from reasoning_train.recipe.plan import Node, Plan
from reasoning_train.recipe.rows import Rows
from reasoning_train.recipe.store import Store

EXAMPLES = 3
"""Problems shown with the solutions of every policy."""
SCANNED_ROWS = 20_000
"""Rows of a table that are looked at for examples, so that the page is made in seconds whatever the size."""


@dataclass(frozen=True, slots=True)
class StageView:
    """A stage as the page lists it; `curves` are (title, svg)."""

    node: Node
    state: str
    error: str
    manifest: dict[str, Any]
    curves: tuple[tuple[str, str], ...]

    @property
    def note(self) -> str:
        """Second line of the stage's box."""
        wall = self.manifest.get("wall_s")
        return f"{self.node.uses} · {self.state}" + (f" · {wall:.0f} s" if wall is not None and wall >= 1 else "")


def stage_views(plan: Plan, state: dict[str, Any], store: Store) -> list[StageView]:
    """All stages in graph order, with what their manifests say."""
    return [_view(node, state["nodes"][name], store) for name, node in plan.nodes.items()]


def _view(node: Node, state: dict[str, Any], store: Store) -> StageView:
    artifact = store.find(node)
    curves = tuple(_curves(artifact.path / "history.jsonl")) if artifact else ()
    return StageView(node, state["state"], state.get("error", ""), dict(artifact.manifest) if artifact else {}, curves)


def boxes(views: list[StageView]) -> dict[str, Box]:
    """The graph's boxes."""
    return {v.node.name: Box(v.node.name, v.node.uses, v.state, v.note, v.node.inputs) for v in views}


def _curves(path: Path) -> Iterator[tuple[str, str]]:
    """(title, svg) of every figure in a history file, drawn over its `step`."""
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


def examples(plan: Plan, store: Store) -> list[dict[str, Any]]:
    """Problems on which the policies of a table differ, with each one's greedy solution: they show what the training changed."""
    tables = [artifact.path / "table" for node in plan.nodes.values() if node.uses == "evaluate" and (artifact := store.find(node))]
    if not tables:
        return []
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in itertools.islice(Rows(tables[0]), SCANNED_ROWS):
        found.setdefault(row["problem_id"], {})[row["policy"]] = row
    most = max((len(policies) for policies in found.values()), default=0)
    complete = [policies for policies in found.values() if len(policies) == most]
    complete.sort(key=lambda policies: -len({row["verdict"] for row in policies.values()}))
    return [_example(policies) for policies in complete[:EXAMPLES]]


def _example(policies: dict[str, dict[str, Any]]) -> dict[str, Any]:
    first = next(iter(policies.values()))
    return {"question": first["question"], "gold": first["gold"], "policies": policies}
