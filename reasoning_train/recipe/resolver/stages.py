"""References to outputs of stages: `${stages.X}`, and in rounds `${previous.X}`, `${init}`, `${rounds.NAME.best}`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from data_gen.errors import UserError
from reasoning_train.api.refs import Ref, Spread
from reasoning_train.api.stage import STAGES, KindOf, StageDef
from reasoning_train.recipe.drafts import Draft
from reasoning_train.recipe.grid_groups import best_of_grid
from reasoning_train.recipe.grids import BadGrid, chosen, settings
from reasoning_train.recipe.resolver.scope import OUTSIDE, Scope, Setting
from reasoning_train.recipe.resolver.text import BadReference, expand, hint
from reasoning_train.recipe.rounds import BEST, LAST, STOP, best_draft
from reasoning_train.recipe.schema import Grid, Recipe, Rounds, Stage

Value = Callable[[Sequence[str], Scope], Any]
"""Looks up a plain value of the recipe by the parts of its dotted path."""
Written = Callable[[Draft, Sequence[str]], Any]
"""Looks up a plain value that a stage writes, by the parts of its place in the stage."""


class StageReferences:
    """Turns the parts of a reference into a Ref, or into a plain value that a stage writes under that name."""

    def __init__(
        self,
        recipe: Recipe,
        drafts: dict[str, Draft],
        value: Value,
        written: Written,
        look_up: Callable[[str, Scope], Any],
    ) -> None:
        self.recipe, self.drafts, self._value, self._written, self._look_up = recipe, drafts, value, written, look_up

    def stage(self, rest: Sequence[str], scope: Scope) -> Any:
        """`X[SETTING][.OUTPUT]`: a stage of the same round or setting before one outside."""
        name = rest[0].partition("[")[0]
        inside = self._members(scope)
        if name in inside:
            return self._one_or_all(scope.prefix, rest, inside[name])
        if name not in self.recipe.stages:
            raise BadReference(f"there is no stage {name!r}{hint(name, [*inside, *self.recipe.stages])}")
        return self._one_or_all("", rest, self.recipe.stages[name])

    def _members(self, scope: Scope) -> Mapping[str, Stage]:
        if scope.rounds:
            return self.recipe.rounds[scope.rounds].stages
        return self.recipe.grids[scope.grid].stages if scope.grid else {}

    def _one_or_all(self, prefix: str, rest: Sequence[str], entry: Stage | None) -> Any:
        """The output of a stage whose node's name begins with `prefix`. If the stage has a grid, the outputs of all
        selected settings."""
        stage, bracket, selection = rest[0].removesuffix("]").partition("[")
        if entry is None or not entry.grid:
            if bracket:
                raise BadReference(f"stage {stage!r} has no grid, so there is no [{selection}]")
            return self._output(prefix + stage, rest[1:])
        known = self._settings(entry.grid)
        found = {
            one.name: self._output(f"{prefix}{stage}.{one.name}", rest[1:]) for one in chosen(known, selection, stage)
        }
        return self._spread(stage, found, single=bool(bracket))

    def _settings(self, grid: Mapping[str, Any]) -> list[Setting]:
        try:
            return settings(grid)
        except BadGrid:
            raise BadReference("the grid of this stage cannot be read") from None

    def _spread(self, stage: str, found: Mapping[str, Any], *, single: bool) -> Any:
        [first, *others] = found.values()
        if single and not others:
            return first
        if not isinstance(first, Ref):
            raise BadReference(f"{stage!r} has a grid; name one of its settings, such as [{next(iter(found))}]")
        return Spread(stage, found)

    def _output(self, node: str, names: Sequence[str]) -> Any:
        """A Ref to an output of `node`, or the plain value that its stage writes under that name."""
        if not names:
            return Ref(node)
        outputs = self._outputs(node)
        if outputs is None or (len(names) == 1 and names[0] in outputs):
            return Ref(node, names[0])
        if names[0] in self.drafts[node].written:
            return self._written(self.drafts[node], names)
        raise BadReference(f"stage {node!r} has no output {'.'.join(names)!r}{hint(names[0], outputs)}")

    def _outputs(self, node: str) -> Mapping[str, str | KindOf] | None:
        """Outputs of a node's stage; None if the node or its stage is unknown, which is reported elsewhere."""
        found = self.drafts.get(node)
        definition = stage_of(found) if found else None
        return definition.outputs if definition else None

    def in_round(self, head: str, rest: Sequence[str], scope: Scope) -> Any:
        """`${round}`, `${init}` and `${previous.X[.OUTPUT]}`."""
        if scope.rounds is None:
            raise BadReference(f"${{{head}}} can be used only inside `rounds`")
        rounds = self.recipe.rounds[scope.rounds]
        if head == "round":
            return scope.k
        named = [rounds.policy, *rest] if head == "init" else list(rest) or [""]
        stage = named[0].partition("[")[0]
        if stage not in rounds.stages:
            raise BadReference(f"rounds.{scope.rounds} has no stage {stage!r}{hint(stage, rounds.stages)}")
        if scope.k > 1 and not (head == "init" and rounds.init_from == "base"):
            return self._one_or_all(Scope(scope.rounds, scope.k - 1).prefix, named, rounds.stages[stage])
        return self._start(scope.rounds, rounds, stage, named[1:])

    def in_grid(self, rest: Sequence[str], scope: Scope) -> Any:
        """`${grid.PARAMETER}`: its value in the setting of the reference."""
        if scope.setting is None:
            raise BadReference("${grid} can be used only inside `grids`")
        parameter = ".".join(rest)
        if parameter not in scope.setting.values:
            raise BadReference(
                f"grids.{scope.grid} has no parameter {parameter!r}{hint(parameter, scope.setting.values)}"
            )
        return scope.setting.values[parameter]

    def grids(self, rest: Sequence[str]) -> Any:
        """`NAME.best`, `NAME.STAGE[SETTING][.OUTPUT]`."""
        name, which = rest[0], rest[1].partition("[")[0]
        if name not in self.recipe.grids:
            raise BadReference(f"there is no grids.{name}{hint(name, self.recipe.grids)}")
        grid = self.recipe.grids[name]
        if which == BEST:
            return self._best_of_grid(name, grid)
        if which not in grid.stages:
            raise BadReference(f"grids.{name} has no stage {which!r}{hint(which, grid.stages)}")
        stage, bracket, selection = rest[1].removesuffix("]").partition("[")
        known = chosen(self._settings(grid.over), selection, stage)
        prefixes = {one.name: Scope(grid=name, setting=one).prefix for one in known}
        found = {
            label: self._one_or_all(prefix, [stage, *rest[2:]], grid.stages[stage])
            for label, prefix in prefixes.items()
        }
        return self._spread(stage, found, single=bool(bracket))

    def _best_of_grid(self, name: str, grid: Grid) -> Ref:
        if grid.choose is None:
            raise BadReference(
                f"${{grids.{name}.best}} needs `choose:` in grids.{name}: which policy, table and metric"
            )
        labels = [one.name for one in self._settings(grid.over)]
        draft = best_of_grid(name, grid.choose, grid.choose.policy, labels)
        return Ref(self.drafts.setdefault(draft.name, draft).name)

    def _start(self, name: str, rounds: Rounds, stage: str, names: Sequence[str]) -> Any:
        if stage not in rounds.start:
            raise BadReference(
                f'round 1 needs a start for {stage!r}: add `start: {{{stage}: "${{stages.NAME}}"}}` to rounds.{name}'
            )
        ref = expand(rounds.start[stage], lambda reference: self._look_up(reference, OUTSIDE))
        if not isinstance(ref, Ref):
            raise BadReference(
                f"rounds.{name}.start.{stage} must be a reference such as ${{stages.base}}, got {rounds.start[stage]!r}"
            )
        return Ref(ref.node, names[0]) if names else ref

    def rounds(self, rest: Sequence[str]) -> Any:
        """`NAME.best`, `NAME.last[.STAGE[.OUTPUT]]`, `NAME.K.STAGE[.OUTPUT]`, or a plain value of the group."""
        name, which, names = rest[0], rest[1], rest[2:]
        if name not in self.recipe.rounds:
            raise BadReference(f"there is no rounds.{name}{hint(name, self.recipe.rounds)}")
        rounds = self.recipe.rounds[name]
        if which == BEST:
            return self._best(name, rounds, names)
        if which != LAST and not which.isdigit():
            return self._value(["rounds", *rest], OUTSIDE)
        k = rounds.max if which == LAST else int(which)
        named = list(names) or [rounds.policy]
        stage = named[0].partition("[")[0]
        known = [*rounds.stages, *([STOP] if rounds.stop else [])]
        if not 1 <= k <= rounds.max:
            raise BadReference(f"rounds.{name} has rounds 1 to {rounds.max}, but no round {k}")
        if stage not in known:
            raise BadReference(f"rounds.{name} has no stage {stage!r}{hint(stage, known)}")
        return self._one_or_all(Scope(name, k).prefix, named, rounds.stages.get(stage))

    def _best(self, name: str, rounds: Rounds, names: Sequence[str]) -> Ref:
        if names:
            raise BadReference(
                f"${{rounds.{name}.best}} is the best round's policy alone; for other outputs use `last`"
            )
        if rounds.choice is None:
            raise BadReference(
                f"${{rounds.{name}.best}} needs `choose:` or `stop:` in rounds.{name}, which says on which table and "
                "metric rounds are compared"
            )
        draft = best_draft(name, rounds, rounds.choice)
        return Ref(self.drafts.setdefault(draft.name, draft).name)


def stage_of(draft: Draft) -> StageDef | None:
    """The registered stage that a draft uses; None for an unknown one."""
    try:
        return STAGES.get(draft.uses)
    except UserError:
        return None
