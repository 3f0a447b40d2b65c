"""Forms of claims about table rows, one file per form."""

from reasoning_train.evaluation.claims.base import CLAIM_FORMS, ClaimForm, Statement

__all__ = ["CLAIM_FORMS", "ClaimForm", "Statement"]
