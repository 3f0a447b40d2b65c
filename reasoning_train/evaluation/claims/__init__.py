"""What a claim may say of the rows of tables: one file a form."""

from reasoning_train.evaluation.claims.base import CLAIM_FORMS, ClaimForm, Statement

__all__ = ["CLAIM_FORMS", "ClaimForm", "Statement"]
