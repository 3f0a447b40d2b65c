"""Pair policies: which two continuations of one prefix become a preference; one file each."""

from data_gen.labelling.pairs.base import PAIR_RULES, PairRule

__all__ = ["PAIR_RULES", "PairRule"]
