"""Accuracy metrics of one problem: pass@k and majority votes. Their intervals are in `intervals.py`."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from math import comb


def pass_at_k(n: int, correct: int, k: int) -> float:
    """Unbiased pass@k = 1 - C(n-c, k) / C(n, k) of one problem (Chen et al. 2021, arXiv 2107.03374, eq. 1). ValueError
    if k > n."""
    if not 1 <= k <= n:
        raise ValueError(f"pass@{k} needs 1 <= k <= n, got n={n}")
    return 1.0 - comb(n - correct, k) / comb(n, k)


def majority_is_correct(answers: Sequence[str | None], correct: Sequence[bool], k: int, key: str) -> float:
    """Whether the majority of the first k answers is correct: 0 without an answer."""
    voted = majority(answers, k, key)
    right = {answer: verdict for answer, verdict in zip(answers[:k], correct[:k], strict=True)}
    return 0.0 if voted is None else float(right[voted])


def majority(answers: Sequence[str | None], k: int, key: str) -> str | None:
    """What most of the first k answers say; samples without an answer do not vote, None where none has one.

    A tie goes to one of the leaders by a hash of `key` and the answer, so it is seeded and does not depend on order.
    """
    votes = Counter(answer for answer in answers[:k] if answer is not None)
    top = max(votes.values(), default=0)
    leaders = [answer for answer, count in votes.items() if count == top]
    return min(leaders, key=lambda a: hashlib.blake2b(f"{key}\x1f{a}".encode()).digest(), default=None)
