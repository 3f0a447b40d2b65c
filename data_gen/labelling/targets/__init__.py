"""Target builders decide what value a verifier should give along a path. There is one file per builder."""

from data_gen.labelling.targets.base import TARGET_RULES, TargetRule

__all__ = ["TARGET_RULES", "TargetRule"]
