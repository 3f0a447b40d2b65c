"""Pair rules decide which two continuations of one prefix become a preference. There is one file per rule."""

from data_gen.labelling.pairs.base import PAIR_RULES, PairRule

__all__ = ["PAIR_RULES", "PairRule"]
