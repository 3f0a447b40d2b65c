"""A published artifact that asked for less of the same, which a stage may continue: 8 samples, where 16 are wanted now.

Its key follows from the node's own: the same but for one field. So nothing is searched, and the continued artifact has
the key that it would have if all had been drawn at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from reasoning_train.api.plan import Plan, StageNode
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import STAGES
from reasoning_train.recipe.asked import asked
from reasoning_train.recipe.keys import node_key
from reasoning_train.store.store import Artifact, Store


def earlier(plan: Plan, node: StageNode, config: Any, store: Store) -> tuple[int, Artifact] | None:
    """The largest smaller value of the field that the stage `grows` by, and its artifact. None if there is no sound one
    that was made from the same inputs."""
    for value, smaller in _smaller(plan, node, config):
        artifact = store.find(smaller)
        if artifact and store.state(smaller, plan) == "cached" and not store.set_aside(smaller):
            return value, artifact
    return None


def _smaller(plan: Plan, node: StageNode, config: Any) -> Iterator[tuple[int, StageNode]]:
    field = STAGES.get(node.uses).grows
    for value in range(getattr(config, field) - 1, 0, -1) if field else ():
        changed = config.model_copy(update={field: value})
        yield value, replace(node, key=key_of(plan, node, changed))


def key_of(plan: Plan, node: StageNode, config: Any) -> str:
    """The key that a node has with another config that refers to the same inputs, names no files and has the same
    pieces."""

    def identify(ref: Ref) -> tuple[str, str]:
        made = plan.nodes[ref.node]
        return made.key, ref.output or STAGES.get(made.uses).main

    gate = (plan.nodes[node.stop_gate].key, plan.nodes[node.previous].key) if node.stop_gate and node.previous else None
    return node_key(
        uses=node.uses,
        version=node.version,
        asked=asked(config),
        pieces=node.pieces,
        seed=node.seed,
        identify=identify,
        files=node.files,
        gate=gate,
    )
