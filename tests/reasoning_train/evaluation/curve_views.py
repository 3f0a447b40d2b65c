"""Tables and searches as the report sees them, made by hand: manifests without rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reasoning_train.evaluation.report.gather import StageView

Row = tuple[float, float]
"""Accuracy and tokens."""


def metrics(accuracy: float, tokens: float, **more: float) -> dict[str, list[float]]:
    """The metrics of a row, whose accuracy is known to two points."""
    found = {"accuracy": [accuracy, accuracy - 0.02, accuracy + 0.02]}
    return found | {name: [value, value, value] for name, value in {"tokens": tokens, **more}.items()}


def table_view(
    rows: Mapping[str, Mapping[str, Any]], name: str = "eval", *, groups: Mapping[str, Any] | None = None, **more: Any
) -> StageView:
    """A table with these rows. `more`: other metrics of the stage, or its `config` and `uses`."""
    summary = {"problems": 40, "policies": dict(rows), "groups": dict(groups or {}), "oracle": more.pop("oracle", [])}
    manifest = {
        "uses": more.pop("uses", "evaluate_trees"),
        "config": more.pop("config", {}),
        "wall_s": 1.0,
        "metrics": {"summary": summary, "table": {"columns": ["policy"], "rows": [[row] for row in rows]}, **more},
    }
    return StageView(name=name, uses=manifest["uses"], key=f"key of {name}", seed=None, state="ran", manifest=manifest)


def search_view(name: str, *, trees: int, tokens: float, seconds: float, **config: Any) -> StageView:
    """A search that drew and read so many tokens a tree."""
    manifest = {
        "uses": "search",
        "wall_s": seconds / 2,
        "process_s": seconds,
        "config": {"search": {"n": 8}, "solutions": None, **config},
        "metrics": {"trees": {"trees": trees, "generated_tokens": tokens / 2, "scored_tokens": tokens / 2}},
    }
    return StageView(name=name, uses="search", key=f"key of {name}", seed=None, state="ran", manifest=manifest)


def ref(name: str) -> dict[str, str]:
    """A reference as manifests hold it."""
    return {"node": name, "output": "trees", "key": f"key of {name}"}
