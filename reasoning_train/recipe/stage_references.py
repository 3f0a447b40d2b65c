"""References to outputs of stages: `${stages.X}`, and in rounds `${previous.X}`, `${init}`, `${rounds.NAME.best}`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from data_gen.errors import UserError
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import STAGES, KindOf, StageDef
from reasoning_train.recipe.drafts import BEST, LAST, STOP, Draft, best_draft
from reasoning_train.recipe.references import OUTSIDE, BadReference, Scope, expand, hint
from reasoning_train.recipe.schema import Recipe, Rounds

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
        """`X[.OUTPUT]`: a stage of the same round before one outside."""
        inside = self.recipe.rounds[scope.rounds].stages if scope.rounds else {}
        if rest[0] in inside:
            return self._output(f"rounds.{scope.rounds}.{scope.k}.{rest[0]}", rest[1:])
        if rest[0] not in self.recipe.stages:
            raise BadReference(f"there is no stage {rest[0]!r}{hint(rest[0], [*inside, *self.recipe.stages])}")
        return self._output(rest[0], rest[1:])

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
        """Outputs of a node's stage; None where the node or its stage is unknown, which is told elsewhere."""
        found = self.drafts.get(node)
        definition = stage_of(found) if found else None
        return definition.outputs if definition else None

    def in_round(self, head: str, rest: Sequence[str], scope: Scope) -> Any:
        """`${round}`, `${init}` and `${previous.X[.OUTPUT]}`."""
        if scope.rounds is None:
            raise BadReference(f"${{{head}}} means something only inside `rounds`")
        rounds = self.recipe.rounds[scope.rounds]
        if head == "round":
            return scope.k
        stage, names = (rounds.policy, rest) if head == "init" else ("".join(rest[:1]), rest[1:])
        if stage not in rounds.stages:
            raise BadReference(f"rounds.{scope.rounds} has no stage {stage!r}{hint(stage, rounds.stages)}")
        if scope.k > 1 and not (head == "init" and rounds.init_from == "base"):
            return self._output(f"rounds.{scope.rounds}.{scope.k - 1}.{stage}", names)
        return self._start(scope.rounds, rounds, stage, names)

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
        stage = names[0] if names else rounds.policy
        known = [*rounds.stages, *([STOP] if rounds.stop else [])]
        if not 1 <= k <= rounds.max:
            raise BadReference(f"rounds.{name} has rounds 1 to {rounds.max}, no round {k}")
        if stage not in known:
            raise BadReference(f"rounds.{name} has no stage {stage!r}{hint(stage, known)}")
        return self._output(f"rounds.{name}.{k}.{stage}", names[1:])

    def _best(self, name: str, rounds: Rounds, names: Sequence[str]) -> Ref:
        if names:
            raise BadReference(f"${{rounds.{name}.best}} is the best round's policy and has no parts; `last` has")
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
