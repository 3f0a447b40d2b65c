"""What a stage's check may ask about the stages that its config refers to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reasoning_train.api.plan import StageNode
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import Maker, StageDef, refs_of


@dataclass(frozen=True, slots=True)
class MadeStages:
    """The valid stages so far, by the names of their nodes."""

    nodes: Mapping[str, StageNode]
    stages: Mapping[str, StageDef]
    configs: Mapping[str, Any]
    """Validated configs."""

    def __call__(self, ref: Ref) -> Mapping[str, Any]:
        """The config of the stage behind a reference as plain data, {} if that config is invalid."""
        return self.nodes[ref.node].config if ref.node in self.nodes else {}

    def makers(self, ref: Ref) -> list[Maker]:
        """The stage behind a reference and, if it may pass on an artifact of the previous round, that round's stage."""
        if ref.node not in self.nodes:
            return []
        node = self.nodes[ref.node]
        before = self.makers(Ref(node.previous, ref.output)) if node.previous else []
        return [Maker(node.name, node.uses, self.configs[node.name]), *before]

    def origins(self, ref: Ref) -> list[Maker]:
        """The stages that first made the rows or the model. Stages that only choose, select or merge are followed to
        their inputs."""
        found: dict[str, Maker] = {}
        for maker in self.makers(ref):
            carried = self.stages[maker.name].carries
            below = refs_of(getattr(maker.config, carried)) if carried else ()
            inner = [origin for one in below for origin in self.origins(one)] if carried else [maker]
            found.update((origin.name, origin) for origin in inner)
        return list(found.values())
