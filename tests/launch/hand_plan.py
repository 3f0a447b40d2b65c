"""Plans made by hand, with keys computed as the loader does: from type, configuration and input keys."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from reasoning_train.api.plan import Plan, StageNode
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import STAGES
from tests.launch import plugin_stages  # noqa: F401 - the stages of most plans


def make_plan(
    stages: dict[str, tuple[str, dict[str, Any]]], *, seed: int = 0, name: str = "hand", **extras: dict[str, Any]
) -> Plan:
    """`make_plan({"a": ("t_numbers", {"n": 3}), "b": ("t_square", {"data": Ref("a")})}, a={"resources": {"shards":
    2}})`."""
    nodes: dict[str, StageNode] = {}
    for stage_name, (uses, config) in stages.items():
        model = STAGES.get(uses).config.model_validate(config)
        full = {field: getattr(model, field) for field in type(model).model_fields}
        inputs = tuple(value.node for value in full.values() if isinstance(value, Ref))
        keyed = {field: nodes[value.node].key if isinstance(value, Ref) else value for field, value in full.items()}
        key = hashlib.sha256(json.dumps([uses, keyed, seed]).encode()).hexdigest()
        nodes[stage_name] = StageNode(
            name=stage_name,
            uses=uses,
            version=1,
            config=full,
            seed=seed,
            key=key,
            inputs=inputs,
            **extras.get(stage_name, {}),
        )
    return Plan(name=name, path="hand.yaml", nodes=nodes, resolved={}, origins={})
