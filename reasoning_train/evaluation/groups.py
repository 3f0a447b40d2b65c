"""Groups of problems: by their tags, or by their difficulty."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from data_gen.records.problem import Problem

Value = str | int | float | bool
Where = dict[str, Value | list[Value]]
"""What a restriction asks for: `{subject: algebra, difficulty: [4, 5]}`. Of a list any value will do; of several names
all must fit."""

DIFFICULTY = "difficulty"
"""Stands beside the tags' names for the problem's own number."""


def group_of(name: str, tags: Mapping[str, str], difficulty: float | None) -> str | None:
    """The group that a problem falls into by one of its tags, or by `difficulty`; None where it has none.

    >>> group_of("subject", {"subject": "algebra"}, 4.0), group_of("difficulty", {}, 4.0)
    ('algebra', '4')
    """
    if name == DIFFICULTY:
        return None if difficulty is None else written(difficulty)
    return tags.get(name)


def fits(where: Mapping[str, Value | Sequence[Value]], tags: Mapping[str, str], difficulty: float | None) -> bool:
    """Whether a problem is one of those that `where` asks for.

    >>> fits({"level": [4, 5]}, {"level": "5"}, None), fits({"level": 4}, {}, None)
    (True, False)
    """
    return all(group_of(name, tags, difficulty) in _texts(wanted) for name, wanted in where.items())


def restricted(
    problems: Iterable[Problem], where: Mapping[str, Value | Sequence[Value]], limit: int | None
) -> Iterator[Problem]:
    """The first `limit` problems that `where` asks for."""
    return itertools.islice((one for one in problems if fits(where, one.tags, one.difficulty)), limit)


def written(value: Value) -> str:
    """A value as a tag would write it: 4.0 is `4`, true is `true`."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else f"{value:g}"


def _texts(wanted: Value | Sequence[Value]) -> list[str]:
    return [written(wanted)] if isinstance(wanted, (str, int, float)) else [written(one) for one in wanted]
