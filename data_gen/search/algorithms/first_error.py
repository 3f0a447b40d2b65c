"""Solutions, the first wrong step of those that end wrong, and that step drawn anew (the data of Step-DPO, arXiv
2406.18629)."""

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
    """Pair rule `first_error` sets the corrected steps against the wrong one: steps that the judge passes and that lead
    to a right answer.

    The paper has a strong LM find the error; here it is the task's exact step checker (`oracle`), rollouts of every
    step (`mc`: from the first wrong step on none ends right), or the stage's scorer (`scorer`: less than an even
    chance; `step_judge` asks an LM).
    """

    uses: Literal["first_error"] = "first_error"
    takes_solutions: ClassVar[bool] = True
    one_draw: ClassVar[bool] = True
    samples: int = Field(2, ge=1)
    """Solutions of a problem; those that the stage is given count first."""
    errors: int = Field(1, ge=1)
    """Wrong solutions that are mended, at most."""
    corrections: int = Field(16, ge=1)
    """Completions from the last right step."""
    judge: Literal["oracle", "mc", "scorer"] = "oracle"
    k: int = Field(8, ge=1)
    """Rollouts of every step, for `mc`."""

    def counts(self, *, gold: bool) -> frozenset[Held]:
        """Rollouts where they judge steps."""
        return frozenset({"rollouts"} if self.judge == "mc" else ())

    @property
    def needs_step_checker(self) -> bool:
        """Where it judges steps."""
        return self.judge == "oracle"

    @property
    def needs_scorer(self) -> bool:
        """Only to judge steps."""
        return self.judge == "scorer"

    @property
    def needs_gold(self) -> bool:
        """Solutions and completions are judged by their answers."""
        return True

    def width(self) -> int:
        """Solutions first, corrections later."""
        return max(self.samples, self.corrections)

    def draws(self) -> int:
        """Solutions, completions at each error and, for `mc`, rollouts of every step."""
        rollouts = self.k * self.max_depth if self.judge == "mc" else 0
        return self.samples + self.errors * (self.corrections + rollouts)

    async def grow(self, tree: SearchTree) -> None:
        """Draw, find, draw anew; the first steps of what ends right enter the tree and are judged themselves."""
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
        """Those up to which the judge finds nothing wrong."""
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
    """Nodes up to which every step is right and, at an end, the answer. UserError where the task has no step
    checker."""
    gold = tree.gold("the exact steps")
    for node in nodes:
        right = gold.steps_ok(tree.problem, tree.steps(node)[0], ended=bool(node.terminal))
        if right is None:
            raise UserError(
                "search.judge: 'oracle' needs a task that can check steps (as chain does); the one of problem "
                f"{tree.problem.id!r} cannot. Use `judge: mc`, or `judge: scorer` with a verifier or `step_judge`."
            )
        if right and node.outcome != 0.0:
            yield node
