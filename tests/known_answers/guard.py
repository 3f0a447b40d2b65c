"""The comparison of a piece with what stands in `answers.json`."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.known_answers.cases import alike, load_cases
from tests.known_answers.pieces import defaults_of, version_of
from tests.known_answers.rounding import equal, rounded

FILE = Path(__file__).parent / "answers.json"


@functools.cache
def recorded() -> dict[str, dict[str, Any]]:
    """Kind -> name -> {version, defaults, outcome}."""
    answers: dict[str, dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {}
    return answers


def outcome(kind: str, name: str) -> Any:
    """What the piece makes of its case now."""
    return rounded(load_cases()[kind, name]())


def entry(piece: Any, made: Any) -> dict[str, Any]:
    """What would be recorded of a piece now. `made`: what its case gives."""
    return {"version": version_of(piece), "defaults": rounded(defaults_of(piece)), "outcome": rounded(made)}


def problem(kind: str, name: str, piece: Any) -> str:
    """What the author of a change has to do about a piece; empty where nothing changed."""
    if (kind, name) not in load_cases():
        return (
            f"The {kind} {name!r} has no known answer. Write a case for it, `@case({kind!r}, {name!r})`, in one of "
            f"tests/known_answers/of_*.py, and record it: python -m tests.known_answers.record {name}"
        )
    made = load_cases()[kind, name]()
    if equals := list(alike(made)):
        return f"Settings in the case of {kind} {name!r} have the same outcome; change one of them: {equals[0]}"
    then, now = recorded().get(kind, {}).get(name), entry(piece, made)
    if then is None:
        return (
            f"The known answer of {kind} {name!r} is not recorded: python -m tests.known_answers.record {name}. Look "
            "at what it adds to answers.json."
        )
    changed = list(differences(then, now))
    if not changed:
        return ""
    told = "".join(f"\n  {line}" for line in changed[:8])
    if then["version"] != now["version"]:
        return f"{kind} {name!r} is a new version; record it: python -m tests.known_answers.record {name}{told}"
    return (
        f"{kind} {name!r} gives something else than was recorded, and its version is still {now['version']}:{told}\n"
        "Artifacts that were made before would be taken for what it makes now. Either bump `version` of the piece, or, "
        "if artifacts made before are as good as new ones (a new field whose default changes nothing, a case that "
        "asks for more), keep it. Then record: python -m tests.known_answers.record " + name
    )


def differences(then: Any, now: Any, place: str = "") -> Iterator[str]:
    """`place: before -> now` of every leaf that differs; numbers that differ in the last recorded digit are equal."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for name in sorted({*then, *now}):
            yield from differences(then.get(name, _NOTHING), now.get(name, _NOTHING), f"{place}.{name}".strip("."))
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for i, (old, new) in enumerate(zip(then, now, strict=True)):
            yield from differences(old, new, f"{place}.{i}")
    elif not equal(then, now):
        yield f"{place}: {_short(then)} -> {_short(now)}"


class _Nothing:
    def __repr__(self) -> str:
        return "nothing"


_NOTHING = _Nothing()


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
