"""Checks of in-process engines before they begin: prefixes and continuations must fit the context."""

from __future__ import annotations

from collections.abc import Sequence

from data_gen.engines.base import Request
from data_gen.errors import UserError


def check_request(request: Request, context: int) -> None:
    """UserError unless the prefix and one token fit into the context and at least one token is requested."""
    prefix, wanted = len(request.prefix), request.sampling.max_tokens
    if not 0 < prefix < context:
        raise UserError(
            f"generate: a prefix of {prefix} tokens; expected 1 to {context - 1}, since the model's context is "
            f"{context} and one token must fit behind it. Shorten the prompt or choose a model with a longer context."
        )
    if wanted < 1:
        raise UserError(f"sampling.max_tokens is {wanted}; expected at least 1.")


def check_score(prefix: Sequence[int], continuations: Sequence[Sequence[int]], context: int) -> None:
    """UserError unless the prefix and the longest continuation together fit into the context."""
    longest = max(map(len, continuations), default=0)
    if not prefix or len(prefix) + longest > context:
        raise UserError(
            f"score: a prefix of {len(prefix)} and a continuation of {longest} tokens; expected a prefix of at least 1 "
            f"and together at most the model's context of {context}. Shorten the text or choose a model with a longer "
            "context."
        )
