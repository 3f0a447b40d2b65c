"""Turns drafts into nodes: validation, kinds, formats and keys, once per seed. Everything is checked before anything
runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from data_gen.errors import UserError
from reasoning_train.api.plan import StageNode
from reasoning_train.api.refs import UNKNOWN, OutputKind, Ref
from reasoning_train.api.stage import STAGES, KindOf, StageConfig, StageDef
from reasoning_train.recipe.asked import asked, pieces
from reasoning_train.recipe.brought import brought_by
from reasoning_train.recipe.drafts import Draft
from reasoning_train.recipe.errors import Problems
from reasoning_train.recipe.files import LeafFiles, path_fields, texts
from reasoning_train.recipe.formats import Edge, Formats
from reasoning_train.recipe.keys import node_key
from reasoning_train.recipe.kinds import wanted
from reasoning_train.recipe.lineage import Lineage
from reasoning_train.recipe.made import MadeStages
from reasoning_train.recipe.order import map_refs, refs_in
from reasoning_train.recipe.resolver.values import Resolver
from reasoning_train.recipe.seeds import BadSeed, stage_seed
from reasoning_train.recipe.validate import plain, validate
from reasoning_train.recipe.yaml_core import join
from reasoning_train.store.provenance import Provenance

_INSTEAD = " Or say `conventions: task`, and every problem is asked as its own task asks, whatever the policy learned."


@dataclass(frozen=True, slots=True)
class _Made:
    """A node without its final name, with its inputs."""

    node: StageNode
    config: BaseModel
    edges: list[Edge]
    kinds: dict[str, str]
    """Output name -> kind."""


class Graph:
    """Builds the nodes. Drafts are added inputs first."""

    def __init__(self, resolvers: Mapping[int, Resolver], files: LeafFiles, problems: Problems) -> None:
        self.nodes: dict[str, StageNode] = {}
        self._resolvers, self._files, self._problems = resolvers, files, problems
        self._names: dict[tuple[str, int], str] = {}
        self._stages: dict[str, StageDef] = {}
        self._kinds: dict[str, dict[str, str]] = {}
        self._configs: dict[str, BaseModel] = {}
        self._made_stages = MadeStages(self.nodes, self._stages, self._configs)
        self._formats = Formats()
        self._drafts: dict[str, Draft] = {}

    def add(self, draft: Draft) -> None:
        """Check a draft under every seed and make its nodes: one if all seeds agree, else one per seed, `NAME@SEED`."""
        definition = self._definition(draft)
        if definition is None:
            return
        seeds = list(self._resolvers)[:1] if definition.across_seeds else list(self._resolvers)
        made = [self._node(draft, definition, seed) for seed in seeds]
        shared = len({it.node.key for it in made if it}) < 2
        for seed, it in zip(seeds, made, strict=True):
            name = draft.name if shared else f"{draft.name}@{seed}"
            self._stages[name] = definition
            self._kinds[name] = it.kinds if it else _declared(definition)
            for meant in self._resolvers if definition.across_seeds else [seed]:
                self._names[draft.name, meant] = name
            if it and name not in self.nodes:
                self.nodes[name] = replace(it.node, name=name)
                self._drafts[name] = draft
                self._configs[name] = it.config
                self._formats.enter(name, draft.uses, it.node.config)
                instead = _INSTEAD if "conventions" in type(it.config).model_fields else ""
                self._formats.inherit(name, draft.path, it.edges, self._problems, instead)

    def trace(self, reason: str | None) -> None:
        """Note a problem for every stage that learns from evaluated problems without a reason, and enter into the
        nodes what they learned from. `reason`: that of the whole recipe. Only for a graph without problems."""
        allowed = {name: draft.allow_test or reason for name, draft in self._drafts.items()}
        lineage = Lineage(self.nodes, self._stages, self._configs, self._kinds, self._brought())
        self.nodes, leaks = lineage.trace(allowed)
        for leak in leaks:
            self._problems.add(
                join(self._drafts[leak.node].path, leak.field),
                f"{leak.node!r} {leak.message}. Use other problems, or say why it is right here: `allow_test: REASON`.",
            )

    def _brought(self) -> dict[str, list[tuple[str, Provenance]]]:
        """Node -> what the published models that it names say of their descent. A damaged card is a problem."""
        brought = {}
        for name, node in self.nodes.items():
            try:
                brought[name] = brought_by(node, self._kinds[name].values())
            except UserError as error:
                self._problems.add(self._drafts[name].path, str(error))
        return brought

    def _definition(self, draft: Draft) -> StageDef | None:
        try:
            definition = STAGES.get(draft.uses)
        except UserError as error:
            self._problems.add(join(draft.path, "uses"), str(error))
            return None
        if draft.resources.get("shards", 1) > 1 and definition.unit == "whole":
            self._problems.add(
                join(draft.path, "resources.shards"),
                f"stage type {draft.uses!r} works in one process; remove `shards`.",
            )
        if draft.seed is not None and not definition.seeded:
            self._problems.add(
                join(draft.path, "seed"), f"stage type {draft.uses!r} draws no random numbers; remove `seed`."
            )
        return definition

    def _node(self, draft: Draft, definition: StageDef, seed: int) -> _Made | None:
        """The node of a draft under one seed; `add` names it. None if its config is invalid."""
        written = self._resolvers[seed].config(draft)
        if written is None:
            return None
        written = map_refs(written, self._across if definition.across_seeds else lambda ref: self._final(ref, seed))
        model = validate(definition.config, written, draft.path, self._problems, f" of stage type {draft.uses!r}")
        if model is None:
            return None
        if definition.completer:
            model = definition.completer(model, self._made_stages)
        node_seed = self._seed(draft, seed) if definition.is_seeded(model) else None
        edges = [Edge(place, ref, kinds, self._kind(ref)) for place, ref, kinds in _wanted(model)]
        self._check_kinds(draft, edges)
        self._check_same_kind(draft, definition, edges)
        found = {path: self._files.find(path, draft.place(place)) for place, path in path_fields(model)}
        config: dict[str, Any] = plain(model, found)
        placed = definition.config.model_validate(config) if found else model  # with the absolute paths of its files
        for place, message in definition.checker(placed, self._made_stages) if definition.checker else ():
            self._problems.add(draft.place(place), message)
        node = StageNode(
            name=draft.name,
            uses=draft.uses,
            version=definition.version,
            config=config,
            seed=node_seed,
            key="",
            asked=asked(model, found),
            pieces=pieces(model, definition.always),
            resources=dict(draft.resources),
            inputs=tuple(dict.fromkeys(ref.node for ref in refs_in(config))),
            files=self._files_of(config),
            stop_gate=draft.stop_gate and self._names.get((draft.stop_gate, seed)),
            previous=draft.previous and self._names.get((draft.previous, seed)),
            origin=self._problems.origin(draft.path),
        )
        return _Made(replace(node, key=self._key(node)), model, edges, definition.kinds(model, self._kind))

    def _final(self, ref: Ref, seed: int) -> Ref:
        return Ref(self._names.get((ref.node, seed), ref.node), ref.output)

    def _across(self, ref: Ref) -> list[Ref]:
        return list(dict.fromkeys(self._final(ref, seed) for seed in self._resolvers))

    def _seed(self, draft: Draft, seed: int) -> int:
        place = join(draft.path, "seed")
        own = self._resolvers[seed].resolve(draft.seed, place, draft.scope)
        try:
            return seed if UNKNOWN in refs_in(own) else stage_seed(own, seed, draft.scope.k)
        except BadSeed as error:
            self._problems.add(place, str(error))
            return seed

    def _files_of(self, config: Any) -> dict[str, str]:
        return {text: self._files.digests[text] for text in dict.fromkeys(texts(config)) if text in self._files.digests}

    def _check_kinds(self, draft: Draft, edges: Sequence[Edge]) -> None:
        for edge in edges:
            if edge.given and edge.kinds and edge.given not in [kind.name for kind in edge.kinds]:
                expected = " or ".join(dict.fromkeys(kind.name for kind in edge.kinds))
                type_name = self._stages[edge.ref.node].name
                self._problems.add(
                    join(draft.path, edge.place),
                    f"expected {expected}, but {str(edge.ref)!r} (a stage of type {type_name!r}) gives {edge.given}.",
                )

    def _check_same_kind(self, draft: Draft, definition: StageDef, edges: Sequence[Edge]) -> None:
        """Check that the inputs that determine an output's kind all have the same kind."""
        for field in (kind.field for kind in definition.outputs.values() if isinstance(kind, KindOf)):
            known = [edge for edge in edges if edge.given and f"{edge.place}.".startswith(f"{field}.")]
            for first, edge in ((known[0], edge) for edge in known[1:]):
                if edge.given != first.given:
                    self._problems.add(
                        join(draft.path, edge.place),
                        f"expected {first.given}, as {str(first.ref)!r} is, but {str(edge.ref)!r} gives {edge.given}; "
                        "rows of different kinds do not go together.",
                    )

    def _kind(self, ref: Ref) -> str:
        """Kind of the output behind a reference; empty if its stage is invalid."""
        definition = self._stages.get(ref.node)
        return self._kinds[ref.node].get(ref.output or definition.main, "") if definition else ""

    def _key(self, node: StageNode) -> str:
        gates = [self._key_of(name) for name in (node.stop_gate, node.previous) if name]
        return node_key(
            uses=node.uses,
            version=node.version,
            asked=node.asked,
            pieces=node.pieces,
            seed=node.seed,
            identify=self._identify,
            files=node.files,
            gate=(gates[0], gates[1]) if gates else None,
        )

    def _identify(self, ref: Ref) -> tuple[str, str]:
        definition = self._stages.get(ref.node)
        return self._key_of(ref.node), ref.output or (definition.main if definition else "")

    def _key_of(self, name: str) -> str:
        # An invalid input has no key; the recipe is refused anyway.
        return self.nodes[name].key if name in self.nodes else ""


def _wanted(config: BaseModel) -> Iterator[tuple[str, Ref, list[OutputKind]]]:
    """(place, reference, kinds) of a config's references, with the fields of which the config itself says that their
    text conventions may differ."""
    free = config.other_conventions if isinstance(config, StageConfig) else ()
    for place, ref, kinds in wanted(config):
        differs = place.partition(".")[0] in free
        yield place, ref, [replace(kind, same_format=False) for kind in kinds] if differs else kinds


def _declared(definition: StageDef) -> dict[str, str]:
    """Kinds of the outputs of a stage with an invalid config, as far as they do not depend on it."""
    return {name: kind for name, kind in definition.outputs.items() if isinstance(kind, str)}
