"""What a stage's check may ask about the stages that its config refers to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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
    _origins: dict[str, list[Maker]] = field(default_factory=dict)

    def __call__(self, ref: Ref) -> Mapping[str, Any]:
        """The config of the stage behind a reference as plain data, {} if that config is invalid."""
        return self.nodes[ref.node].config if ref.node in self.nodes else {}

    def makers(self, ref: Ref) -> list[Maker]:
        """The stage behind a reference and, if it may pass on an artifact of an earlier round, that round's stage."""
        found, name = [], str(ref.node)
        while name in self.nodes:
            found.append(Maker(name, self.nodes[name].uses, self.configs[name], self.nodes[name].seed))
            name = self.nodes[name].previous or ""
        return found

    def origins(self, ref: Ref) -> list[Maker]:
        """The stages that first made the rows or the model. Stages that only choose, select or merge are followed to
        their inputs."""
        if ref.node not in self._origins:
            self._origins[ref.node] = list({maker.name: maker for maker in self._followed(ref.node)}.values())
        return list(self._origins[ref.node])

    def _followed(self, start: str) -> Iterator[Maker]:
        """The stages behind a node that first made something, depth first. No node is visited twice."""
        waiting, seen = [start], set[str]()
        while waiting:
            name = waiting.pop()
            if name in seen or name not in self.nodes:
                continue
            seen.add(name)
            if name in self._origins:
                yield from self._origins[name]
                continue
            carried, config = self.stages[name].carries, self.configs[name]
            waiting += [self.nodes[name].previous or ""]
            if carried:
                waiting += [one.node for one in reversed(list(refs_of(getattr(config, carried))))]
            else:
                yield Maker(name, self.nodes[name].uses, config, self.nodes[name].seed)
