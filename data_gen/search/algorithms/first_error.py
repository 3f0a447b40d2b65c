"""Draws solutions, finds the first wrong step of those that end wrong, and redraws that step (the data of Step-DPO,
arXiv 2406.18629)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Literal

from pydantic import Field

from data_gen.errors import UserError
from data_gen.records.scales import Scale, convert
from data_gen.records.trees import Held
from data_gen.search.base import SEARCHES, Search
from data_gen.search.node import Node
from data_gen.search.tree import SearchTree


@SEARCHES.register("first_error")
class FirstError(Search):
    """Solutions with corrections of their first wrong steps, for the pair rule `first_error`.

    The rule sets the wrong step against corrected ones: steps that the judge passes and that lead to a right answer.

    In the paper a strong LM finds the error. Here the task's exact step checker does (`oracle`), or rollouts of every
    step (`mc`: no rollout ends right from the first wrong step on), or the stage's scorer (`scorer`: less than an even
    chance; `step_judge` asks an LM).
    """

    uses: Literal["first_error"] = "first_error"
    takes_solutions: ClassVar[bool] = True
    one_draw: ClassVar[bool] = True
    samples: int = Field(2, ge=1)
    """Solutions per problem. Solutions that the stage is given count first."""
    errors: int = Field(1, ge=1)
    """Most wrong solutions that are corrected."""
    corrections: int = Field(16, ge=1)
    """Completions drawn from the last right step."""
    judge: Literal["oracle", "mc", "scorer"] = "oracle"
    k: int = Field(8, ge=1)
    """Rollouts per step, for `mc`."""

    def counts(self, *, gold: bool) -> frozenset[Held]:
        """With rollouts, if they judge steps."""
        return frozenset({"rollouts"} if self.judge == "mc" else ())

    @property
    def needs_step_checker(self) -> bool:
        """True if it judges steps."""
        return self.judge == "oracle"

    @property
    def needs_scorer(self) -> bool:
        """Needed only to judge steps."""
        return self.judge == "scorer"

    @property
    def needs_gold(self) -> bool:
        """True: solutions and completions are graded by their answers."""
        return True

    def width(self) -> int:
        """First the solutions, later the corrections."""
        return max(self.samples, self.corrections)

    def draws(self) -> int:
        """Solutions, completions at each error and, for `mc`, rollouts of every step."""
        rollouts = self.k * self.max_depth if self.judge == "mc" else 0
        return self.samples + self.errors * (self.corrections + rollouts)

    async def grow(self, tree: SearchTree) -> None:
        """Draw solutions, find errors, redraw. The first steps of completions that end right enter the tree and are
        judged, too."""
        ends = await tree.solve(tree.root, self.samples, self.expand)
        await tree.judge(ends)
        wrong = [end for end in dict.fromkeys(ends) if end.outcome == 0.0 and end.terminal != "limit"][: self.errors]
        if not wrong:
            tree.stopped = "decided"
            return
        paths = [end.path() for end in wrong]
        passed = await self._passed(tree, [node for path in paths for node in path])
        errors = [next((node for node in path if node not in passed), None) for path in paths]
        parents = list(dict.fromkeys(error.parent for error in errors if error and error.parent))
        await tree.complete(parents, self.corrections, self.expand)
        corrected = [tree.unroll(leaf)[0] for parent in parents for leaf in parent.rollouts() if leaf.outcome == 1.0]
        if self.judge == "scorer":
            await tree.evaluate(corrected)

    async def _passed(self, tree: SearchTree, nodes: Sequence[Node]) -> set[Node]:
        """The nodes up to which the judge finds nothing wrong."""
        distinct = list(dict.fromkeys(nodes))
        match self.judge:
            case "oracle":
                return set(_right(tree, distinct))
            case "mc":
                await tree.complete(distinct, self.k, self.expand)
                return {node for node in distinct if node.mc_correct > 0 or node.outcome == 1.0}
        values = await tree.evaluate(distinct)
        return {
            node for node, value in zip(distinct, values, strict=True) if convert(value, tree.scale, Scale.P) >= 0.5
        }


def _right(tree: SearchTree, nodes: Iterable[Node]) -> Iterable[Node]:
    """The nodes up to which every step is right and, at an end, also the answer. UserError if the task has no step
    checker."""
    gold = tree.gold("the exact steps")
    for node in nodes:
        right = gold.steps_ok(tree.problem, tree.steps(node)[0], ended=bool(node.terminal))
        if right is None:
            raise UserError(
                "search.judge: 'oracle' needs a task that can check steps (as chain does), but the task of "
                f"problem {tree.problem.id!r} cannot. Use `judge: mc`, or `judge: scorer` with a verifier or "
                "`step_judge`."
            )
        if right and node.outcome != 0.0:
            yield node
