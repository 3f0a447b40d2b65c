"""Target builders: what a verifier should say along a path; one file each."""

from data_gen.labelling.targets.base import TARGET_RULES, TargetRule

__all__ = ["TARGET_RULES", "TargetRule"]
