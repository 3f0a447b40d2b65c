"""Lineage: which problems every artifact descends from. Evaluated problems must not reach a stage that learns.

Evaluated are the problems of a split named test, those on which a claim's table is measured, and the same file or the
same content under any other name. Rounds, grids, choices, merges, parts and picks are followed, since they are stages;
models that other recipes published bring what they learned from (store/provenance.py).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from data_gen.tasks.base import Origin
from reasoning_train.api.plan import StageNode
from reasoning_train.api.problem_set import ProblemSet
from reasoning_train.api.refs import Ref, RowsRef
from reasoning_train.api.stage import StageDef, refs_of
from reasoning_train.recipe.kinds import wanted
from reasoning_train.store.provenance import MODELS, Provenance

TEST = "test"
"""A split of this name, in any casing, is for evaluation."""
_ROWS = frozenset(mark.name for mark in get_args(RowsRef)[1:])
"""Kinds of outputs whose rows belong to problems."""
_VERBS = {
    "trains": "trains on",
    "labels": "makes training data of",
    "calibrates": "is fitted to",
    "chooses": "chooses by",
}


Way = tuple[Any, str]
"""The nodes on the way to one: (the way to the one before or None, its name). Ways share their beginnings, so that
those of a chain of stages take no more room than the chain."""
Paths = dict[ProblemSet, Way]


@dataclass(frozen=True, slots=True)
class Descent:
    """Where an artifact comes from."""

    paths: Paths
    near: frozenset[str]
    """The last nodes of problems on every way to it."""
    learned: frozenset[str]
    """The nodes of problems that trained, labelled, calibrated or chose something on the way to it."""
    lessons: frozenset[ProblemSet]
    """The problems that did so, in this recipe or in the one that published what it was made from."""
    notes: tuple[str, ...]
    """What it learned from evaluated problems, and why that is allowed."""


@dataclass(frozen=True, slots=True)
class Leak:
    """Evaluated problems that reach a stage that learns."""

    node: str
    field: str
    message: str


Brought = Sequence[tuple[str, Provenance]]
"""(field, what a published model that it names says of its descent)."""


class Lineage:
    """The descent of every node of a graph whose configs are all valid.

    Args:
        nodes: Inputs first.
        kinds: Node -> output -> kind.
        brought: Node -> what published models that it names say of their own descent.
    """

    def __init__(
        self,
        nodes: Mapping[str, StageNode],
        stages: Mapping[str, StageDef],
        configs: Mapping[str, Any],
        kinds: Mapping[str, Mapping[str, str]],
        brought: Mapping[str, Brought],
    ) -> None:
        self._nodes, self._stages, self._configs, self._kinds, self._brought = nodes, stages, configs, kinds, brought
        self._roots = {name: self._problems(name, configs[name].split) for name in self._root_names()}
        self._tests: dict[str, dict[Origin, str]] = defaultdict(dict)
        """Source -> splits named test -> their names in the recipe."""
        for name in self._roots:
            for split in configs[name].task.splits():
                if split.casefold() == TEST:
                    origin = self._problems(name, split).origin
                    self._tests[origin.source].setdefault(origin, f"{name.rpartition('.')[0]}.{split}")
        self._carried: dict[str, Paths] = {}
        """Node -> the problems that it passes on, whatever chose them."""
        for name in nodes:
            self._carried[name] = self._passed_on(name)
        self._claimed: dict[str, Paths] = defaultdict(dict)
        """Source -> problems on which a claim's table is measured -> the way from them to the claim."""
        for rows, way in self._claims():
            self._claimed[rows.origin.source].setdefault(rows, way)
        self._why: dict[ProblemSet, str] = {}
        self._known: dict[str, Descent] = {}

    def trace(self, allowed: Mapping[str, str | None]) -> tuple[dict[str, StageNode], list[Leak]]:
        """The nodes with their notes and what they learned from, and every leak that has no reason.

        Args:
            allowed: Node -> why it may learn from evaluated problems.
        """
        traced, leaks = {}, list[Leak]()
        for name, node in self._nodes.items():
            below = [self._known[ref.node] for _, ref in self._inputs(name)]
            found = [*self._brought_leaks(name), *self._leaks(name)]
            reason = allowed.get(name)
            if reason is None:
                leaks += [Leak(name, field, message) for field, message in found]
            own = [f"{name} {message}; the recipe allows it: {reason}" for _, message in found if reason]
            told = [note for _, one in self._brought.get(name, ()) for note in one.notes]
            notes = tuple(dict.fromkeys([*(note for one in below for note in one.notes), *told, *own]))
            known = self._known[name] = self._descent(name, below, notes)
            learned = tuple(sorted(known.learned)) if "table" in self._kinds[name].values() else ()
            lessons = known.lessons if set(MODELS) & {*self._kinds[name].values()} else ()
            plain = sorted((rows.to_json() for rows in lessons), key=json.dumps)
            traced[name] = replace(node, notes=notes, learned_from=learned, lessons=tuple(plain))
        return traced, leaks

    def _root_names(self) -> list[str]:
        return [name for name, node in self._nodes.items() if node.uses == "problems"]

    def _problems(self, name: str, split: str) -> ProblemSet:
        """The problems of a split. A file is known by its content, so that its name does not matter."""
        origin: Origin = self._configs[name].task.origin(split)
        source, dealt = origin.source, origin.dealt
        for path, sha256 in self._nodes[name].files.items():
            written = json.dumps(path)[1:-1]
            source, dealt = source.replace(path, sha256), dealt.replace(written, sha256)
            source = source.replace(written, sha256)
        return ProblemSet(Origin(source, origin.split, dealt), split)

    def _inputs(self, name: str) -> Iterator[tuple[str, Ref]]:
        """(field, reference) of everything that a node descends from, the round before it included."""
        for place, ref, _ in wanted(self._configs[name]):
            field = place.partition(".")[0]
            if field not in self._stages[name].avoids and ref.node in self._nodes:
                yield field, ref
        if previous := self._nodes[name].previous:
            yield "", Ref(previous)

    def _descent(self, name: str, below: list[Descent], notes: tuple[str, ...]) -> Descent:
        stage, config, learns = self._stages[name], self._configs[name], self._learns(name)
        if name in self._roots:
            return Descent({self._roots[name]: (None, name)}, frozenset([name]), frozenset(), frozenset(), notes)
        paths: Paths = {}
        for field, ref in self._inputs(name):
            for rows, way in self._known[ref.node].paths.items():
                # It is told once, by the first stage that learns.
                evaluated = learns and self._teaches(name, field) and self._evaluated(rows)
                if not evaluated:
                    here = rows.within(config.division()) if field == stage.carries else rows
                    paths.setdefault(here, (way, name))
        near = frozenset().union(*(one.near for one in below))
        teachers = [self._known[ref.node] for field, ref in self._inputs(name) if learns and self._teaches(name, field)]
        learned = frozenset().union(*(one.learned for one in below), *(one.near for one in teachers))
        brought = [rows for _, one in self._brought.get(name, ()) for rows in one.lessons]
        taught = [rows for one in teachers for rows in one.paths]
        lessons = frozenset().union(*(one.lessons for one in below), brought, taught)
        is_problems = self._kind(Ref(name)) == "problems"
        return Descent(paths, frozenset([name]) if is_problems else near, learned, lessons, notes)

    def _kind(self, ref: Ref) -> str:
        return self._kinds[ref.node][ref.output or self._stages[ref.node].main]

    def _brought_leaks(self, name: str) -> Iterator[tuple[str, str]]:
        """(field, what it does) for every field that names a published model which evaluated problems have taught."""
        for field, one in self._brought.get(name, ()):
            if why := next(filter(None, map(self._evaluated, one.lessons)), ""):
                yield field, f"was made elsewhere of {why}, as the card of the model that `{field}` names says"

    def _leaks(self, name: str) -> Iterator[tuple[str, str]]:
        """(field, what it does) for every field of a learning node that evaluated problems reach."""
        learns, told = self._learns(name), set[str]()
        for field, ref in self._inputs(name) if learns else ():
            for rows, way in self._known[ref.node].paths.items():
                why = (self._evaluated(rows) or self._own(name, rows)) if self._teaches(name, field) else ""
                if why and field not in told:
                    told.add(field)
                    yield field, f"{_VERBS[learns]} {why}: {_along((way, name))}"

    def _teaches(self, name: str, field: str) -> bool:
        """Whether a stage that learns does so from the problems behind a field."""
        only = self._stages[name].learns_from
        return not only or field in only

    def _learns(self, name: str) -> str:
        """What a stage does with the problems behind its inputs. A stage of a plug-in that makes a model or a verifier
        of rows trains, whatever it declares."""
        makes_model = set(MODELS) & {*self._kinds[name].values()}
        of_rows = any(self._kind(ref) in _ROWS for _, ref in self._inputs(name))
        return self._stages[name].learns or ("trains" if of_rows and makes_model else "")

    def _evaluated(self, rows: ProblemSet) -> str:
        """Why these problems count as evaluated; empty if they do not."""
        if rows not in self._why:
            self._why[rows] = self._why_evaluated(rows)
        return self._why[rows]

    def _own(self, name: str, rows: ProblemSet) -> str:
        """Why these problems count as evaluated for a stage that learns from some and measures on others; empty if they
        do not."""
        refs = self._measured_on(name) if self._stages[name].learns_from else []
        same = any(measured.meets(rows) for ref in refs for measured in self._carried[ref.node])
        return "problems that it measures itself" if same else ""

    def _why_evaluated(self, rows: ProblemSet) -> str:
        origin, split = rows.origin, rows.split
        if TEST in (split.casefold(), origin.split.casefold()):
            at_source = "" if split.casefold() == TEST else f", which serves as {split!r}"
            return f"problems of the split {TEST!r}{at_source}"
        for test, named in self._tests.get(origin.source, {}).items():
            if test.overlaps(origin):
                return f"problems of a source that is also the split {named}"
        for claimed, way in self._claimed.get(origin.source, {}).items():
            if claimed.meets(rows):
                return f"problems on which a claim is measured ({_along(way)})"
        return ""

    def _claims(self) -> Iterator[tuple[ProblemSet, Way]]:
        for name in self._nodes:
            is_claim = "verdict" in self._stages[name].outputs.values()
            for table in refs_of(self._configs[name]) if is_claim else ():
                problems = self._measured_on(table.node) if table.node in self._configs else []
                for rows, way in (found for ref in problems for found in self._carried[ref.node].items()):
                    yield rows, ((way, table.node), name)

    def _measured_on(self, name: str) -> list[Ref]:
        """The problems on which a stage measures, without those on which it chooses what to measure."""
        chosen_on = self._stages[name].learns_from
        refs = [ref for place, ref, _ in wanted(self._configs[name]) if place.partition(".")[0] not in chosen_on]
        return [ref for ref in refs if ref.node in self._nodes and self._kind(ref) == "problems"]

    def _passed_on(self, name: str) -> Paths:
        if name in self._roots:
            return {self._roots[name]: (None, name)}
        config, carried = self._configs[name], self._stages[name].carries
        found: Paths = {}
        for ref in refs_of(getattr(config, carried)) if carried else ():
            for rows, way in self._carried[ref.node].items():
                found.setdefault(rows.within(config.division()), (way, name))
        return found


def _along(way: Way) -> str:
    """`task.test -> leak -> last`."""
    names, step = list[str](), way
    while step:
        step, name = step
        names.append(name)
    return " -> ".join(reversed(names))
