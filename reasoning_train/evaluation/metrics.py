"""pass@k of one problem."""

from __future__ import annotations

from math import comb


def pass_at_k(n: int, correct: int, k: int) -> float:
    """Unbiased pass@k = 1 - C(n-c, k) / C(n, k) of one problem (Chen et al. 2021, arXiv 2107.03374, eq. 1). ValueError
    if k > n."""
    if not 1 <= k <= n:
        raise ValueError(f"pass@{k} needs 1 <= k <= n, got n={n}")
    return 1.0 - comb(n - correct, k) / comb(n, k)
