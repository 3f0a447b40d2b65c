"""Base of searches that make data until a budget is spent: a token limit, and a cheap probe that skips decided
problems."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from data_gen.search.base import Search
from data_gen.search.node import Node
from data_gen.search.tree import SearchTree


class Budgeted(Search):
    """A tree is worth its tokens if some ends are right and some are wrong. `probe: 4` checks this before the tree
    grows."""

    token_budget: int | None = Field(None, ge=1)
    """No new round begins once a tree has drawn this many tokens, including those of its scorer."""
    probe: int = Field(0, ge=0)
    """Number of solutions that are drawn first. If all are right or all are wrong, the tree stops there (`decided`),
    because it could not tell a good step from a bad one. They stay in the tree. 0: no probe."""

    @property
    def needs_gold(self) -> bool:
        """True with a probe, whose solutions are graded."""
        return self.probe > 0

    def tokens(self) -> int:
        """Tokens of the search, plus those of the probe if the search does not use its solutions."""
        return super().tokens() + (0 if self.takes_solutions else self.probe * self.max_length)

    async def run(self, tree: SearchTree) -> None:
        """Grow, unless the probe's solutions agree."""
        if self.probe and unanimous(await self.probed(tree), self.probe):
            tree.stopped = "decided"
        else:
            await self.grow(tree)

    async def probed(self, tree: SearchTree) -> list[Node]:
        """The ends of the probe's solutions, graded. By default they are rollouts of the question."""
        await tree.complete([tree.root], self.probe, self.expand)
        return tree.root.rollouts()

    def over(self, tree: SearchTree) -> bool:
        """Whether the token budget is spent."""
        return self.token_budget is not None and tree.generated_tokens >= self.token_budget


def unanimous(ends: Sequence[Node], n: int) -> bool:
    """Whether at least n draws could be verified and all of these are right, or all wrong. An end that was drawn k
    times is listed k times."""
    outcomes = [end.outcome for end in ends if end.outcome is not None]
    return len(outcomes) >= n and len(set(outcomes)) == 1
