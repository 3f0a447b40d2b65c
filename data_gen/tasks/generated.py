"""The base of tasks whose problems are drawn without files. Splits are disjoint by construction: a hash of the question
decides which split a problem belongs to, and a split's generator draws until the hash agrees."""

from __future__ import annotations

import hashlib
import random
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import Field

from data_gen.engines.base import stream_seed
from data_gen.errors import UserError, nearest
from data_gen.records.problem import Problem
from data_gen.tasks.base import Task

MOST = 100_000_000
"""More problems in a split are a slip of the pen."""
BUCKETS = {"test": range(20), "dev": range(20, 30), "explore": range(30, 50), "train": range(50, 100)}
"""Hash of the question modulo 100 -> split."""
MOST_DRAWS = 10_000
"""Draws for one problem before a generator counts as exhausted, and attempts at one draw before its settings count as
impossible."""


@dataclass(frozen=True, slots=True)
class DrawnProblem:
    """What a generator draws: `DrawnProblem("1 + 1?", "2", ("1 + 1 = 2",), difficulty=1.0)`."""

    question: str
    gold: str
    steps: tuple[str, ...] = ()
    difficulty: float | None = None
    tags: dict[str, str] = field(default_factory=dict)


class Generated(Task):
    """Base of generators. A subclass says how one problem is drawn."""

    templated: ClassVar[bool] = True

    seed: int = Field(0, ge=0)
    """Seed of the problems. It is independent of the recipe's seed, so all recipe seeds use the same test set."""
    train: int = Field(20_000, ge=0, le=MOST)
    """Problems with worked solutions to learn from."""
    explore: int = Field(2000, ge=0, le=MOST)
    """Problems to sample on. They are new ones, so that a policy cannot repeat what it was shown."""
    dev: int = Field(400, ge=0, le=MOST)
    test: int = Field(1000, ge=0, le=MOST)

    @property
    def disjoint_splits(self) -> bool:
        """True: a hash of the question decides its split."""
        return True

    def splits(self) -> dict[str, int | None]:
        """The four splits with their sizes."""
        return {"train": self.train, "explore": self.explore, "dev": self.dev, "test": self.test}

    def problems(self, split: str) -> Iterator[Problem]:
        """Distinct problems of one split. Problem i has its own random stream. UserError for an unknown split, and for
        settings that allow too few problems."""
        sizes = self.splits()
        if split not in sizes:
            raise UserError(f"task.{split}: {self.uses} has no split {split!r}.{nearest(split, sizes)}")
        seen: set[int] = set()
        for i in range(sizes[split] or 0):
            drawn, digest = self._next(random.Random(stream_seed(self.seed, self.uses, split, i)), split, seen)
            seen.add(digest)
            yield Problem(
                id=f"{self.uses}/{split}/{i}",
                question=drawn.question,
                gold=drawn.gold,
                group=drawn.question,
                split=split,
                gold_steps=drawn.steps,
                difficulty=drawn.difficulty,
                tags=drawn.tags,
            )

    @abstractmethod
    def draw(self, rng: random.Random, split: str) -> DrawnProblem:
        """One problem. All random choices come from `rng`. A generator whose attempts may come to nothing makes
        `MOST_DRAWS` of them, then raises `impossible`."""

    def impossible(self, split: str) -> UserError:
        """The error for settings that allow no problem."""
        return UserError(
            f"task.{split}: {self.uses} made no problem of these settings in {MOST_DRAWS:,} attempts. Widen their "
            "ranges, or ask for less."
        )

    def _next(self, rng: random.Random, split: str, seen: set[int]) -> tuple[DrawnProblem, int]:
        for _ in range(MOST_DRAWS):
            drawn = self.draw(rng, split)
            digest = int.from_bytes(hashlib.blake2b(drawn.question.encode(), digest_size=8).digest(), "big")
            if digest % 100 in BUCKETS[split] and digest not in seen:
                return drawn, digest
        raise UserError(
            f"task.{split}: {self.uses} found no further problem in {MOST_DRAWS:,} draws, after {len(seen)} of "
            f"{self.splits()[split]}. Ask for fewer, or for harder ones."
        )


def check_range(name: str, bounds: tuple[int, int], least: int, most: int) -> None:
    """ValueError for a field that is no range within its limits."""
    if not least <= bounds[0] <= bounds[1] <= most:
        raise ValueError(f"{name}: expected [low, high] with {least} <= low <= high <= {most}, got {list(bounds)}")


def line_by_line(gold: Sequence[str], steps: Sequence[str]) -> tuple[bool, ...]:
    """Whether each step equals the gold step at its index. Missing steps count as wrong: an answer without them is no
    reasoning."""
    right = tuple(i < len(gold) and step == gold[i] for i, step in enumerate(steps))
    return right + (False,) * (len(gold) - len(steps))
