"""Soft value-based decoding (Li et al., SVDD, arXiv 2408.08252, algorithm 1): one of M candidates per step is drawn
with weight exp(v / alpha).

The target is p(y) * exp(r(y) / alpha). The n prefixes do not compete, except in the variant "-R". The released code
always takes the best candidate (alpha = 0 here), though the paper draws. Its "-R" resamples after the last step; here
the weights of the votes do that.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from data_gen.records.scales import Scale, convert, convertible
from data_gen.search.algorithms.beam import lives
from data_gen.search.base import SEARCHES, Search
from data_gen.search.node import Node
from data_gen.search.resample import log_sum, multinomial, normalised
from data_gen.search.top_tokens import top_tokens
from data_gen.search.tree import SearchTree

Candidates = list[tuple[Node, float]]
"""Children of a prefix, each with the log of its base weight."""


@SEARCHES.register("svdd")
class Svdd(Search):
    """`n` prefixes with M = `expand.n` candidates each: `Svdd(n=4, alpha=0.05, expand=Expand(n=10))`."""

    uses: Literal["svdd"] = "svdd"
    n: int = Field(8, ge=1)
    alpha: float = Field(0.1, ge=0)
    """Temperature of the choice. 0 takes the best candidate. It applies to P(correct) if the scorer's scale converts,
    else to the values themselves."""
    value: Literal["mean", "soft"] = "mean"
    """How P(correct) gives the soft value alpha * log E[exp(r / alpha)]. `mean` takes P(correct) itself (a lower bound,
    which a regression on r learns). `soft` is exact for a reward of 0 or 1: alpha * log(1 - p + p * exp(1 / alpha))."""
    resample: bool = False
    """The variant "-R": after every choice the prefixes are resampled by exp(v / alpha)."""
    candidates: Literal["sampled", "top"] = "sampled"
    """`top`: the M likeliest next tokens, each with weight pi * exp(v / alpha), which is exact if M is the vocabulary.
    The engine scores every token for it, so it suits small vocabularies only. `max_depth` then counts tokens."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.value == "soft" and self.alpha == 0:
            raise ValueError("value: soft needs alpha > 0")
        if self.value == "soft" and not convertible(self.scale, Scale.P):
            raise ValueError(
                f"value: soft needs P(correct), which scale {str(self.scale)!r} does not give; use `value: mean`"
            )
        if self.candidates == "top" and "max_depth" not in self.model_fields_set:
            raise ValueError(
                "max_depth: counts tokens with `candidates: top`; set it to the longest solution that you allow"
            )
        return self

    def width(self) -> int:
        """All candidates of all prefixes."""
        return self.n * self.expand.n

    def draws(self) -> int:
        """M candidates a step of every prefix."""
        return self.width() * self.max_depth

    async def grow(self, tree: SearchTree) -> None:
        """Draw candidates, value them and choose one per prefix, until all have ended."""
        prefixes, step = [tree.root] * self.n, 0
        while any(not node.terminal for node in prefixes):
            step, rng = step + 1, tree.rng("svdd", step)
            families = await self._candidates(tree, prefixes)
            await tree.evaluate(list(dict.fromkeys(node for family in families for node, _ in family if lives(node))))
            prefixes = [
                self._choose(tree, family, rng, 1)[0] if family else node
                for node, family in zip(prefixes, families, strict=True)
            ]
            if self.resample and any(not node.terminal for node in prefixes):
                prefixes = self._choose(tree, [(node, 0.0) for node in prefixes], rng, self.n)
        answers = [(node, 0.0) for node in prefixes if node.terminal == "answer"]
        weights = self._shares(tree, answers) if self.resample else [1.0] * len(answers)
        tree.vote([(node, weight) for (node, _), weight in zip(answers, weights, strict=True)])
        tree.stopped = "answered" if answers else "exhausted"

    async def _candidates(self, tree: SearchTree, prefixes: Sequence[Node]) -> list[Candidates]:
        """The candidates of every prefix. A prefix that has ended has none."""
        if self.candidates == "sampled":
            return [[(node, 0.0) for node in drawn] for drawn in await tree.draw(prefixes, self.expand, self.expand.n)]
        found = await top_tokens(tree, prefixes, self.expand.n)
        return [[(child, child.known_logprob) for child in children] for children in found]

    def _choose(self, tree: SearchTree, candidates: Candidates, rng: random.Random, n: int) -> list[Node]:
        """n of the candidates, drawn by their shares."""
        return [candidates[i][0] for i in multinomial(self._shares(tree, candidates), n, rng)]

    def _shares(self, tree: SearchTree, candidates: Candidates) -> list[float]:
        """Probability of each candidate. Dead ones have 0 unless all are dead."""
        gains = [self._gain(tree, node) if lives(node) else -math.inf for node, _ in candidates]
        if self.alpha == 0:
            best = max(gains, default=0.0)
            gains = [0.0 if gain == best else -math.inf for gain in gains]
        return normalised([base + gain for (_, base), gain in zip(candidates, gains, strict=True)])

    def _gain(self, tree: SearchTree, node: Node) -> float:
        """v / alpha (v itself if alpha is 0)."""
        value = node.value or 0.0
        p = convert(value, tree.scale, Scale.P) if convertible(tree.scale, Scale.P) else value
        if self.value == "soft":
            return log_sum([math.log(x) + shift for x, shift in ((1 - p, 0.0), (p, 1 / self.alpha)) if x > 0])
        return p / self.alpha if self.alpha else p
