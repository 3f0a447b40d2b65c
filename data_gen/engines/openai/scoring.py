"""Log-probabilities of given tokens from a server, by vLLM's `prompt_logprobs` or the public API's `echo`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from data_gen.errors import UserError

Way = Literal["prompt_logprobs", "echo"]


def scoring_body(way: Way, ids: Sequence[int]) -> dict[str, Any]:
    """The body of a completion request that scores `ids`. It also generates one token, since servers require that."""
    how = {"echo": True, "logprobs": 1} if way == "echo" else {"prompt_logprobs": 0}
    return {"prompt": list(ids), "temperature": 0.0, "max_tokens": 1, **how}


def read_scores(way: Way, answer: Any, ids: Sequence[int], begin: int) -> list[float]:
    """Log-probabilities of `ids[begin:]`. UserError if the answer lacks any of them: such a server cannot score.

    >>> read_scores("echo", {"choices": [{"logprobs": {"token_logprobs": [None, -0.5, -2.0, -0.1]}}]}, [7, 8, 9], 1)
    [-0.5, -2.0]
    """
    try:
        choice = answer["choices"][0]
        if way == "echo":
            found = choice["logprobs"]["token_logprobs"][begin : len(ids)]
        else:  # one entry per prompt token: {"717": {"logprob": -0.1, ...}, ...}
            entries = choice["prompt_logprobs"]
            found = (
                [entries[i][str(ids[i])]["logprob"] for i in range(begin, len(ids))] if len(entries) == len(ids) else []
            )
        scores = [float(value) for value in found]
    except (KeyError, IndexError, TypeError, ValueError, OverflowError):
        scores = []
    if not all(map(math.isfinite, scores)):
        scores = []
    if len(scores) != len(ids) - begin:
        keys = sorted(answer) if isinstance(answer, Mapping) else type(answer).__name__
        raise UserError(
            f"score: the server does not give `{way}`: {len(scores)} log-probs for {len(ids) - begin} tokens (the "
            f"answer has {keys}). Use a server that does (engine.server: vllm) or an engine in this process."
        )
    return scores
