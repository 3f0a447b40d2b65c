"""Upper limits of a plan's cost: rows, generated tokens, calls and memory, from each stage's estimator.

A stage registers one with `@sample.estimate`. The manifest of a finished artifact gives its exact rows. Unknown values
are left out.
"""

from __future__ import annotations

from typing import Any

from reasoning_train.api.plan import Plan, StageNode
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import STAGES
from reasoning_train.store.store import Artifact, Store


def estimate_plan(plan: Plan, store: Store) -> dict[str, dict[str, Any]]:
    """Node name -> `rows` (of the main output), `records`, `tokens`, `calls`, `memory_bytes`, as far as known."""
    found: dict[str, dict[str, Any]] = {}
    for name, node in plan.nodes.items():
        artifact = store.find(node)
        exact = _exact(artifact) if artifact else {}
        found[name] = exact if "parameters" in exact else {**_estimate(node, found), **exact}
    return found


def _estimate(node: StageNode, before: dict[str, dict[str, Any]]) -> dict[str, Any]:
    stage = STAGES.get(node.uses)
    if stage.estimator is None:
        return {}

    def sizes(ref: Ref) -> dict[str, Any]:
        return before.get(ref.node, {})

    return stage.estimator(stage.config.model_validate(node.config), sizes)


def _exact(artifact: Artifact) -> dict[str, Any]:
    rows = [output["rows"] for output in artifact.manifest["outputs"].values() if "rows" in output]
    parameters = artifact.manifest["metrics"].get("parameters")
    return {**({"rows": rows[0]} if rows else {}), **({"parameters": parameters} if parameters else {})}
