"""What searches share that make data until a budget is spent: a limit of tokens, and no more than a look at problems
that are decided."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from data_gen.search.base import Search
from data_gen.search.node import Node
from data_gen.search.tree import SearchTree


class Budgeted(Search):
    """A tree is worth its tokens where some ends are right and some wrong: `probe: 4` finds out before it grows."""

    token_budget: int | None = Field(None, ge=1)
    """No new round begins once a tree has drawn so many tokens, those of its scorer included."""
    probe: int = Field(0, ge=0)
    """So many solutions are drawn first. Are all of them right, or all wrong, the tree ends there (`decided`): nothing
    in it would tell a good step from a bad one. They stay in the tree. 0: no probe."""

    @property
    def needs_gold(self) -> bool:
        """A probe is judged."""
        return self.probe > 0

    def tokens(self) -> int:
        """What is searched and, where it is none of that, the probe."""
        return super().tokens() + (0 if self.takes_solutions else self.probe * self.max_length)

    async def run(self, tree: SearchTree) -> None:
        """Grow, unless the first solutions agree."""
        if self.probe and unanimous(await self.probed(tree), self.probe):
            tree.stopped = "decided"
        else:
            await self.grow(tree)

    async def probed(self, tree: SearchTree) -> list[Node]:
        """The ends of the probe's solutions, judged; by default rollouts of the question."""
        await tree.complete([tree.root], self.probe, self.expand)
        return tree.root.rollouts()

    def over(self, tree: SearchTree) -> bool:
        """Whether the tokens are spent."""
        return self.token_budget is not None and tree.generated_tokens >= self.token_budget


def unanimous(ends: Sequence[Node], n: int) -> bool:
    """Whether at least n draws could be verified and all are right, or all wrong. An end that was drawn k times stands
    there k times."""
    outcomes = [end.outcome for end in ends if end.outcome is not None]
    return len(outcomes) >= n and len(set(outcomes)) == 1
