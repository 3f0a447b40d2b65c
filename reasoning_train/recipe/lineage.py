"""Lineage: which problems every artifact descends from. Evaluated problems must not reach a stage that learns.

Evaluated are the problems of a split named test, those on which a claim's table is measured, and the same file or the
same content under any other name. Rounds, grids, choices, merges, parts and picks are followed, since they are stages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

from data_gen.tasks.base import Origin
from reasoning_train.api.plan import StageNode
from reasoning_train.api.refs import Ref, RowsRef
from reasoning_train.api.stage import StageDef, refs_of
from reasoning_train.recipe.kinds import wanted

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


@dataclass(frozen=True, slots=True)
class ProblemSet:
    """Problems of one split, or of some parts of it."""

    root: str
    """The `problems` node."""
    parts: frozenset[tuple[int, int, int]] = frozenset()
    """(of, salt, part) of every `part` stage on the way."""

    def meets(self, other: ProblemSet) -> bool:
        """Whether both may hold a problem in common if their roots do: no division has dealt them to two parts."""
        mine = {(of, salt): part for of, salt, part in self.parts}
        return all(mine.get((of, salt), part) == part for of, salt, part in other.parts)


Paths = dict[ProblemSet, tuple[str, ...]]
"""Problems -> the nodes on the way from them."""


@dataclass(frozen=True, slots=True)
class Descent:
    """Where an artifact comes from."""

    paths: Paths
    near: frozenset[str]
    """The last nodes of problems on every way to it."""
    learned: frozenset[str]
    """The nodes of problems that trained, labelled, calibrated or chose something on the way to it."""
    notes: tuple[str, ...]
    """What it learned from evaluated problems, and why that is allowed."""


@dataclass(frozen=True, slots=True)
class Leak:
    """Evaluated problems that reach a stage that learns."""

    node: str
    field: str
    message: str


class Lineage:
    """The descent of every node of a graph whose configs are all valid.

    Args:
        nodes: Inputs first.
        kinds: Node -> output -> kind.
    """

    def __init__(
        self,
        nodes: Mapping[str, StageNode],
        stages: Mapping[str, StageDef],
        configs: Mapping[str, Any],
        kinds: Mapping[str, Mapping[str, str]],
    ) -> None:
        self._nodes, self._stages, self._configs, self._kinds = nodes, stages, configs, kinds
        self._origins = {name: self._origin(name, configs[name].split) for name in self._roots()}
        self._tests = [
            (f"{name.rpartition('.')[0]}.{split}", self._origin(name, split))
            for name in self._origins
            for split in configs[name].task.splits()
            if split.casefold() == TEST
        ]
        self._carried: dict[str, Paths] = {}
        """Node -> the problems that it passes on, whatever chose them."""
        for name in nodes:
            self._carried[name] = self._passed_on(name)
        self._claimed = list(self._claims())
        self._known: dict[str, Descent] = {}

    def trace(self, allowed: Mapping[str, str | None]) -> tuple[dict[str, StageNode], list[Leak]]:
        """The nodes with their notes and what they learned from, and every leak that has no reason.

        Args:
            allowed: Node -> why it may learn from evaluated problems.
        """
        traced, leaks = {}, list[Leak]()
        for name, node in self._nodes.items():
            below = [self._known[ref.node] for _, ref in self._inputs(name)]
            found = list(self._leaks(name))
            reason = allowed.get(name)
            if reason is None:
                leaks += [Leak(name, field, message) for field, message in found]
            own = [f"{name} {message}; the recipe allows it: {reason}" for _, message in found if reason]
            notes = tuple(dict.fromkeys([*(note for one in below for note in one.notes), *own]))
            self._known[name] = self._descent(name, below, notes)
            table = "table" in self._stages[name].outputs.values()
            learned = tuple(sorted(self._known[name].learned)) if table else ()
            traced[name] = replace(node, notes=notes, learned_from=learned)
        return traced, leaks

    def _roots(self) -> list[str]:
        return [name for name, node in self._nodes.items() if node.uses == "problems"]

    def _origin(self, name: str, split: str) -> Origin:
        """The origin of a split. A file is known by its content, so that its name does not matter."""
        origin: Origin = self._configs[name].task.origin(split)
        return replace(origin, source=self._nodes[name].files.get(origin.source, origin.source))

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
        if name in self._origins:
            return Descent({ProblemSet(name): (name,)}, frozenset([name]), frozenset(), notes)
        paths: Paths = {}
        for field, ref in self._inputs(name):
            for rows, path in self._known[ref.node].paths.items():
                evaluated = learns and self._evaluated(rows)  # it is told once, by the first stage that learns
                if not evaluated:
                    here = _within(rows, config) if field == stage.carries else rows
                    paths.setdefault(here, (*path, name))
        near = frozenset().union(*(one.near for one in below))
        learned = frozenset().union(*(one.learned for one in below), near if learns else ())
        is_problems = self._kind(Ref(name)) == "problems"
        return Descent(paths, frozenset([name]) if is_problems else near, learned, notes)

    def _kind(self, ref: Ref) -> str:
        return self._kinds[ref.node][ref.output or self._stages[ref.node].main]

    def _leaks(self, name: str) -> Iterator[tuple[str, str]]:
        """(field, what it does) for every field of a learning node that evaluated problems reach."""
        learns, told = self._learns(name), set[str]()
        for field, ref in self._inputs(name) if learns else ():
            for rows, path in self._known[ref.node].paths.items():
                why = self._evaluated(rows)
                if why and field not in told:
                    told.add(field)
                    yield field, f"{_VERBS[learns]} {why}: {' -> '.join((*path, name))}"

    def _learns(self, name: str) -> str:
        """What a stage does with the problems behind its inputs. A stage of a plug-in that makes a model or a verifier
        of rows trains, whatever it declares."""
        makes_model = {"model", "verifier"} & {*self._kinds[name].values()}
        of_rows = any(self._kind(ref) in _ROWS for _, ref in self._inputs(name))
        return self._stages[name].learns or ("trains" if of_rows and makes_model else "")

    def _evaluated(self, rows: ProblemSet) -> str:
        """Why these problems count as evaluated; empty if they do not."""
        origin, split = self._origins[rows.root], self._configs[rows.root].split
        if TEST in (split.casefold(), origin.split.casefold()):
            at_source = "" if split.casefold() == TEST else f", which serves as {split!r}"
            return f"problems of the split {TEST!r}{at_source}"
        if named := next((named for named, test in self._tests if test.overlaps(origin)), ""):
            return f"problems of a source that is also the split {named}"
        for claimed, path in self._claimed:
            same = claimed.root == rows.root or self._origins[claimed.root].overlaps(origin)
            if same and claimed.meets(rows):
                return f"problems on which a claim is measured ({' -> '.join(path)})"
        return ""

    def _claims(self) -> Iterator[tuple[ProblemSet, tuple[str, ...]]]:
        """The problems on which tables of claims are measured, and the way from them to the claim."""
        for name in self._nodes:
            is_claim = "verdict" in self._stages[name].outputs.values()
            for table in refs_of(self._configs[name]) if is_claim else ():
                config = self._configs.get(table.node)
                problems = [ref for ref in refs_of(config) if ref.node in self._nodes and self._kind(ref) == "problems"]
                for rows, path in (found for ref in problems for found in self._carried[ref.node].items()):
                    yield rows, (*path, table.node, name)

    def _passed_on(self, name: str) -> Paths:
        if name in self._origins:
            return {ProblemSet(name): (name,)}
        config, carried = self._configs[name], self._stages[name].carries
        found: Paths = {}
        for ref in refs_of(getattr(config, carried)) if carried else ():
            for rows, path in self._carried[ref.node].items():
                found.setdefault(_within(rows, config), (*path, name))
        return found


def _within(rows: ProblemSet, config: Any) -> ProblemSet:
    """The problems that a stage such as `part` keeps of these; other stages keep any."""
    division = config.division()
    return rows if division is None else replace(rows, parts=rows.parts | {division})
