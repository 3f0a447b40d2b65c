"""The config of stage `adaptive`: tables of strategies, the estimate of difficulty, bins, folds and budgets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reasoning_train.api.refs import Ref, SolutionsRef, TableRef, TreesRef
from reasoning_train.api.stage import Gate
from reasoning_train.evaluation.allocation import Spend
from reasoning_train.evaluation.difficulty import DIFFICULTIES, Difficulty
from reasoning_train.evaluation.difficulty.agreement import Agreement
from reasoning_train.stages.evaluated import Evaluated

if TYPE_CHECKING:
    AnyDifficulty = Difficulty
else:
    AnyDifficulty = DIFFICULTIES.union()

BEST_FIXED, ADAPTIVE, AMORTISED = "best fixed", "adaptive", "adaptive, amortised"
RANDOM, ORACLE = "random bins", "oracle bins"
KINDS = (BEST_FIXED, ADAPTIVE, AMORTISED, RANDOM, ORACLE)
"""The rows of every budget. Differences are taken against the first."""


class DifficultyEstimate(BaseModel):
    """By which samples difficulty is estimated: `{pool: "${stages.few}", n: 4, by: agreement}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pool: TreesRef | SolutionsRef
    """Samples that no strategy votes over, so that the estimate does not share their luck: trees of `best_of_n` or
    `iid`, or solutions of `sample`, with a seed of their own (`seed: {mix: few}`). Of several
    trees of a problem the first is read."""
    n: int = Field(8, ge=1)
    """Samples of a problem. Their tokens are charged to `adaptive`."""
    by: AnyDifficulty = Agreement()
    """`agreement` of the answers, a verifier's `score`, the policy's `likelihood`, by name or written out."""


class AdaptiveConfig(Evaluated):
    """Which strategies there are, and how a problem's difficulty chooses among them."""

    table: TableRef | None = None
    """A table whose rows are strategies with their tokens (`evaluate_trees`, `evaluate_verifier`, `evaluate`)."""
    tables: dict[str, TableRef] = {}
    """Several tables, instead of `table`. Their rows are called `TABLE/ROW`."""
    strategies: list[str] = []
    """The rows to choose from. Empty: all rows."""
    estimate: DifficultyEstimate
    bins: int = Field(5, ge=1)
    """Bins of equally many problems, from easy to hard. Problems that look equally hard are never divided, so there may
    be fewer."""
    folds: int = Field(2, ge=2)
    """Every fold gets the strategies that the others chose. `best fixed` is chosen in the same way."""
    budgets: list[Annotated[float, Field(gt=0)]] = []
    """Mean tokens a problem: `[200, 400]` gives `adaptive@200`, `adaptive@400`, ... Empty: no limit, and the most
    accurate strategy of every bin is taken whatever it costs."""
    spend: Spend = "each"
    """What a budget limits. `each`: the mean tokens of every strategy, as in the paper, where all bins draw equally
    many samples. `across`: the mean over all bins, so that easy problems leave tokens to hard ones."""
    min_shared: Annotated[float, Gate()] = Field(0.9, gt=0, le=1)
    """The minimum share of the problems that have a row of every strategy and samples in the pool."""

    @model_validator(mode="after")
    def _tables_named(self) -> AdaptiveConfig:
        if (self.table is None) == (not self.tables):
            raise ValueError("give either `table`, or `tables` with a name for each")
        if repeated := sorted({one for one in self.strategies if self.strategies.count(one) > 1}):
            raise ValueError(f"strategies: {repeated[0]!r} stands there twice; name each row once")
        if self.spend == "across" and not self.budgets:
            raise ValueError("spend: `across` shares out a budget, and there is none; give `budgets`")
        return self

    @property
    def sources(self) -> Mapping[str, Ref]:
        """Name -> table; the name of a single table is empty."""
        return self.tables if self.table is None else {"": self.table}

    @property
    def limits(self) -> Mapping[str, float | None]:
        """What the names of a budget's rows end with -> the budget."""
        return {f"@{budget:.12g}": budget for budget in sorted(set(self.budgets))} or {"": None}

    @property
    def row_names(self) -> list[str]:
        """Rows of the table: a row of every kind for each budget."""
        return [f"{kind}{suffix}" for suffix in self.limits for kind in KINDS]

    @property
    def arms(self) -> dict[str, list[Ref]]:
        """All rows choose from the same tables."""
        return {row: [*self.sources.values()] for row in self.row_names}
