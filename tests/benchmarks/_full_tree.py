"""Paths of a full tree, and how much they share."""

from __future__ import annotations

import random
from collections.abc import Sequence

Path = tuple[int, ...]


def full_tree(rng: random.Random, vocab: int, *, prompt: int, step: int, children: int, depth: int) -> list[Path]:
    """Random paths of `depth` steps behind one prompt, every node with as many children."""
    paths = [drawn(rng, vocab, prompt)]
    for _ in range(depth):
        paths = [path + drawn(rng, vocab, step) for path in paths for _ in range(children)]
    return paths


def drawn(rng: random.Random, vocab: int, length: int) -> Path:
    """Random tokens."""
    return tuple(rng.randrange(vocab) for _ in range(length))


def sharing(paths: Sequence[Path]) -> float:
    """Tokens of all paths over tokens that are each others' prefix only once."""
    return sum(map(len, paths)) / len({path[: t + 1] for path in paths for t in range(len(path))})
