"""Divides one source into splits. Exact repeats are dropped, groups stay whole, and a hash of seed and group gives the
order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from data_gen.errors import UserError


@dataclass(frozen=True, slots=True)
class Division:
    """Row numbers of each split. Rows are numbered from 0 in the source's order."""

    rows: dict[str, frozenset[int]]
    """Split name -> row numbers."""
    lost: dict[str, int]
    """Split name -> rows left out because the split was full before their group ended."""


def normalised(question: str) -> str:
    """Normal form of a question: lower case, runs of white space as one space. Equal forms are the same question."""
    return " ".join(question.casefold().split())


def question_key(question: str) -> bytes:
    """Eight bytes that are equal iff two questions are the same (a collision has probability 2^-64 per pair)."""
    return _hash(normalised(question))


def divide(questions: Iterable[tuple[str, str]], sizes: Mapping[str, int | None], seed: int, name: str) -> Division:
    """Deal the rows of a source to splits.

    Args:
        questions: (question, group) per row, in the source's order.
        sizes: Rows of each split, filled in this order; one may be None and takes the rest.
        seed: Another seed deals the groups differently.
        name: The source, for messages.

    Raises:
        UserError: If the source is empty, or has too few distinct questions or groups for the splits.
    """
    rows, total = _distinct(questions, seed)
    if total == 0:
        raise empty(name)
    check_sizes(sizes, len(rows), name, f" distinct questions ({total - len(rows)} repeats)")
    dealt, lost = _deal(sorted(rows), sizes)
    for split, size in sizes.items():
        if size is not None and len(dealt[split]) < size:
            raise UserError(
                f"task.split.{split}: {size} rows cannot be filled from {name} without splitting a group. Ask "
                "for fewer."
            )
        if not dealt[split]:
            raise UserError(
                f"task.split.{split}: the groups of {name} leave no rows for it. Ask for fewer in the other splits, or "
                "bring more groups."
            )
    return Division({split: frozenset(numbers) for split, numbers in dealt.items()}, lost)


def empty(name: str) -> UserError:
    """The error for a source without rows."""
    return UserError(f"{name}: the dataset is empty; expected at least one row.")


def check_sizes(sizes: Mapping[str, int | None], rows: int, name: str, what: str = " rows") -> None:
    """UserError if so many rows cannot fill the splits."""
    wanted, rest = sum(size or 0 for size in sizes.values()), None in sizes.values()
    if rows < wanted or (rows == wanted and rest):
        raise UserError(
            f"task.split: {dict(sizes)} asks for {wanted} rows{' and more' if rest else ''}, but {name} has "
            f"{rows}{what}. Ask for fewer or bring a larger file."
        )


def _distinct(questions: Iterable[tuple[str, str]], seed: int) -> tuple[list[tuple[bytes, int]], int]:
    """(hash of seed and group, row number) of the first occurrence of every question, and the number of all rows."""
    seen: set[bytes] = set()
    rows, total = [], 0
    for number, (question, group) in enumerate(questions):
        total += 1
        key = question_key(question)
        if key not in seen:
            seen.add(key)
            rows.append((_hash(f"{seed}\n{normalised(group)}"), number))
    return rows, total


def _deal(
    ordered: list[tuple[bytes, int]], sizes: Mapping[str, int | None]
) -> tuple[dict[str, list[int]], dict[str, int]]:
    """Row numbers of each split, and how many rows of its groups each has lost."""
    dealt: dict[str, list[int]] = {split: [] for split in sizes}
    lost = dict.fromkeys(sizes, 0)
    home: dict[bytes, str] = {}
    # The split without a size comes last: it takes the remaining rows.
    order = sorted(sizes, key=lambda split: sizes[split] is None)
    for group, number in ordered:
        open_splits = (s for s in order if sizes[s] is None or len(dealt[s]) < (sizes[s] or 0))
        split = home.setdefault(group, next(open_splits, ""))
        # A group that does not fit its split loses rows; it never continues in the next split.
        if split and (sizes[split] is None or len(dealt[split]) < (sizes[split] or 0)):
            dealt[split].append(number)
        elif split:
            lost[split] += 1
    return dealt, lost


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
