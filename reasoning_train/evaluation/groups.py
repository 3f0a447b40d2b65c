"""Groups problems by a tag or by difficulty."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from data_gen.errors import UserError, nearest
from data_gen.records.problem import Problem

Value = str | int | float | bool
Where = dict[str, Value | list[Value]]
"""A restriction on problems: `{subject: algebra, difficulty: [4, 5]}`. Any value of a list matches; all names must
match."""

DIFFICULTY = "difficulty"
"""Name that selects a problem's difficulty instead of a tag."""


def group_of(name: str, tags: Mapping[str, str], difficulty: float | None) -> str | None:
    """The group of a problem by one of its tags or by `difficulty`; None without one.

    >>> group_of("subject", {"subject": "algebra"}, 4.0), group_of("difficulty", {}, 4.0)
    ('algebra', '4')
    """
    if name == DIFFICULTY:
        return None if difficulty is None else written(difficulty)
    return tags.get(name)


def fits(where: Mapping[str, Value | Sequence[Value]], tags: Mapping[str, str], difficulty: float | None) -> bool:
    """Whether a problem matches `where`.

    >>> fits({"level": [4, 5]}, {"level": "5"}, None), fits({"level": 4}, {}, None)
    (True, False)
    """
    return all(group_of(name, tags, difficulty) in _texts(wanted) for name, wanted in where.items())


def restricted(
    problems: Iterable[Problem], where: Mapping[str, Value | Sequence[Value]], limit: int | None
) -> Iterator[Problem]:
    """The first `limit` problems that match `where`."""
    return itertools.islice((one for one in problems if fits(where, one.tags, one.difficulty)), limit)


def check_known(field: str, names: Collection[str], problems: Iterable[Problem]) -> None:
    """UserError if no problem has one of the tags that a field of the recipe names."""
    if names:
        _check_known(field, names, set().union(*map(_names, problems)))


def count_asked(
    problems: Iterable[Problem],
    by: Sequence[str],
    where: Mapping[str, Value | Sequence[Value]],
    limit: int | None = None,
) -> int:
    """The number of problems that `restricted` selects.

    Raises:
        UserError: No problem has a tag that `where` names, none that is selected has one of `by`, or none is selected.
    """
    every, kept, n = set[str](), set[str](), 0
    for problem in problems:
        tags, difficulty = problem.tags, problem.difficulty
        names = _names(problem)
        every |= names
        if (limit is None or n < limit) and fits(where, tags, difficulty):
            kept, n = kept | names, n + 1
    _check_known("where", where, every)
    if where and not n:
        raise UserError(f"where: no problem matches {dict(where)}; use other values.")
    _check_known("by", by, kept)
    return n


def _names(problem: Problem) -> set[str]:
    """What the problem can be grouped by."""
    found = (*problem.tags, DIFFICULTY)
    return {name for name in found if group_of(name, problem.tags, problem.difficulty) is not None}


def _check_known(field: str, names: Iterable[str], known: set[str]) -> None:
    for name in names:
        if name not in known:
            raise UserError(
                f"{field}: no problem has a tag {name!r}.{nearest(name, known)} Name one of the problems' tags, or "
                "`difficulty`."
            )


def written(value: Value) -> str:
    """A value in the spelling of tags: 4.0 is `4`, true is `true`."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else f"{value:g}"


def _texts(wanted: Value | Sequence[Value]) -> list[str]:
    return [written(wanted)] if isinstance(wanted, (str, int, float)) else [written(one) for one in wanted]
