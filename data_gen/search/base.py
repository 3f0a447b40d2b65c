"""The search interface: a frozen config that recipes write, and one `async def grow` that reads like its paper.

    @SEARCHES.register("best_of_n")
    class BestOfN(Search):
        uses: Literal["best_of_n"] = "best_of_n"
        n: int = 16

        async def grow(self, tree: SearchTree) -> None: ...

The same search produces training data and test-time answers. The former use the tree, the latter the votes that `grow`
left on its leaves.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Self

from pydantic import Field, model_validator

from data_gen.records.scales import Scale
from data_gen.records.trees import Held
from data_gen.registry import Piece, Registry
from data_gen.search.expand import Expand
from data_gen.search.tree import SearchTree


class Search(Piece, ABC):
    """Base of all searches. Each has a `uses: Literal["name"] = "name"`. Their modules import nothing heavy at top
    level."""

    one_draw: ClassVar[bool] = False
    """True: each path draws one step at a time, so `expand.n` has no meaning and is refused."""
    whole: ClassVar[bool] = False
    """True: solutions are drawn whole. Of `expand` only temperature and top_p apply, and the rest is refused. Paths are
    cut by length only, and estimates assume `max_depth` steps for the longest path."""
    independent: ClassVar[bool] = False
    """True: final paths are independent draws, so any subset of them is a smaller search."""

    takes_solutions: ClassVar[bool] = False
    """True: it begins with whole solutions, so a stage may pass it solutions that were drawn before."""

    expand: Expand = Expand()
    max_depth: int = Field(16, ge=1)
    """Most steps of a path. A node at this depth is terminal (`limit`)."""
    max_length: int = Field(512, ge=1)
    """Most tokens of a path."""

    scale: Scale = Scale.P
    """Scale of values and of W in the trees. A scorer's values are converted to it."""

    @model_validator(mode="after")
    def _no_idle_setting(self) -> Self:
        plain = Expand()  # compared by value: a plan holds every default written out
        if self.one_draw and self.expand.n != plain.n:
            raise ValueError(
                f"expand.n: {self.uses!r} draws one step of every path at a time; set the number of paths, `n`, "
                "beside `uses`"
            )
        idle = {
            name for name in Expand.model_fields if self.whole and getattr(self.expand, name) != getattr(plain, name)
        }
        idle -= {"temperature", "top_p"}
        if idle:
            raise ValueError(
                f"expand.{min(idle)}: {self.uses!r} draws whole solutions; of `expand` it reads temperature and top_p "
                "only"
            )
        return self

    @property
    def needs_scorer(self) -> bool:
        """False: it can run without values."""
        return True

    @property
    def needs_step_checker(self) -> bool:
        """True: the task must be able to check steps."""
        return False

    @property
    def needs_gold(self) -> bool:
        """True: it uses outcomes or rollouts, so it makes data on training problems only."""
        return False

    def counts(self, *, gold: bool) -> frozenset[Held]:
        """Which of `visits` and `rollouts` the nodes of its trees hold, with or without granted gold."""
        return frozenset()

    async def run(self, tree: SearchTree) -> None:
        """Entry point for stages: `grow`, and what comes before it."""
        await self.grow(tree)

    @abstractmethod
    async def grow(self, tree: SearchTree) -> None:
        """Grow the tree until the budget is spent or no open node is left. Leave votes (`tree.vote`) if the search
        answers."""

    def width(self) -> int:
        """Samples that one tree waits for at a time. A stage derives from it how many trees keep an engine busy."""
        return self.expand.n

    def draws(self) -> int:
        """Most samples of one tree, for estimates before the run."""
        return self.expand.n * self.max_depth

    def tokens(self) -> int:
        """Most tokens of one tree."""
        return self.draws() * (self.max_length if self.whole else self.expand.max_tokens)


SEARCHES: Registry[type[Search]] = Registry("search", package="data_gen.search.algorithms", group="data_gen.search")
"""Name -> search."""
