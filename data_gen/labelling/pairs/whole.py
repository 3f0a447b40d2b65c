"""Right against wrong whole solutions of one tree: ordinary DPO, the baseline of every step-level rule."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Literal

from data_gen.labelling.pairs.base import PAIR_RULES, PairRule, Side
from data_gen.labelling.paths import RANKS, Path
from data_gen.labelling.reach import View, ends
from data_gen.records.labels import StepPair
from data_gen.records.scales import Scale, convert


@PAIR_RULES.register("whole")
class WholePairs(PairRule):
    """Both sides are complete: `granularity: full`, with the stop tokens that ended them. Cut solutions are never a
    side."""

    uses: Literal["whole"] = "whole"
    match: Literal["all", "perplexity"] = "all"
    """`all`: every right one with every wrong one. `perplexity`: the right one that the policy finds least likely with
    the wrong one that it finds most likely, the second with the second, ... (STILL-2)."""

    def pairs(self, view: View, rng: random.Random) -> Iterator[StepPair]:
        """In the order of the right solutions."""
        paths = [Path(view.tree, tuple(view.tree.path(end))) for end in ends(view.tree) if end.terminal != "limit"]
        right, wrong = ([path for path in paths if path.leaf.outcome == outcome] for outcome in (1.0, 0.0))
        if self.match == "perplexity":
            matched = zip(
                sorted(right, key=RANKS["high_perplexity"]), sorted(wrong, key=RANKS["low_perplexity"]), strict=False
            )
        else:
            matched = itertools.product(right, wrong)  # type: ignore[assignment]
        for better, worse in matched:
            chosen, rejected = (
                Side(path.nodes[0], convert(float(path.right), Scale.P, self.scale)) for path in (better, worse)
            )
            yield self.join(
                view, chosen, rejected, chosen_nodes=better.nodes, rejected_nodes=worse.nodes, granularity="full"
            )
