"""The outcome of the whole solution, as the target of its end, of every step or of every token (Cobbe et al., arXiv
2110.14168)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from data_gen.labelling.paths import Path
from data_gen.labelling.reach import View
from data_gen.labelling.targets.base import TARGET_RULES, Target, TargetRule, Targets, own_tokens, step_ends
from data_gen.records.scales import Scale, convert


@TARGET_RULES.register("outcome")
class Outcome(TargetRule):
    """1 or 0 for a whole path. A step that right and wrong paths share gets both."""

    uses: Literal["outcome"] = "outcome"
    scale: Literal[Scale.P, Scale.SIGNED] = Scale.P
    level: Literal["last", "steps", "tokens"] = "steps"
    root: Literal[False] = False

    def known(self, view: View) -> dict[int, Target]:
        """Empty: an outcome belongs to a path, not to a node."""
        return {}

    def along(self, view: View, paths: Sequence[Path]) -> list[Targets]:
        """The same target at each place of a path."""
        return [self._along(path) for path in paths]

    def _along(self, path: Path) -> Targets:
        outcome = path.leaf.outcome
        if outcome is None:
            return []
        target = Target(convert(outcome, Scale.P, self.scale), outcome == 1.0, 1, (outcome, 1))
        own = own_tokens(path)
        ends = tuple(end for end in step_ends(path) if own[end])
        places = {"last": ends[-1:], "steps": ends, "tokens": tuple(at for at, written in enumerate(own) if written)}
        return [(at, target) for at in places[self.level]]
