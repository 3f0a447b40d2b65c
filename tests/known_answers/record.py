"""Records known answers: `python -m tests.known_answers.record [NAME ...]`, of all pieces without a name.

Prints what changed. Run it after bumping a piece's version, or where artifacts made before are as good as new ones.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Mapping
from typing import Any

from tests.known_answers.cases import load_cases
from tests.known_answers.guard import FILE, differences, entry, recorded
from tests.known_answers.pieces import every_piece

SHOWN = 5
"""Most lines about one piece."""


def record(names: list[str]) -> None:
    """Write the answers of the pieces with these names, of all without one; pieces that are gone are forgotten."""
    cases, pieces = load_cases(), every_piece()
    unknown = [name for name in names if name not in {known for _, known in pieces}]
    if unknown:
        sys.exit(f"there is no piece {unknown[0]!r}")
    answers: dict[str, dict[str, Any]] = {}
    for (kind, name), piece in pieces.items():
        then = recorded().get(kind, {}).get(name)
        if (kind, name) not in cases:
            print(f"{kind} {name}: no case")
            continue
        now = _quietly(kind, name, piece) if then is None or not names or name in names else then
        answers.setdefault(kind, {})[name] = now
        lines = list(differences(then, now))
        for line in lines[:SHOWN]:
            print(f"{kind} {name} {line}")
        if len(lines) > SHOWN:
            print(f"{kind} {name} ... and {len(lines) - SHOWN} more")
    FILE.write_text(_text(answers), encoding="utf-8")


def _quietly(kind: str, name: str, piece: Any) -> dict[str, Any]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return entry(piece, load_cases()[kind, name]())


def _text(answers: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """JSON with a line for each version, each class's defaults and each part of an outcome, so that diffs are short."""
    kinds = [_kind(kind, sorted(pieces.items())) for kind, pieces in sorted(answers.items())]
    return "{\n" + ",\n".join(kinds) + "\n}\n"


def _kind(kind: str, pieces: list[tuple[str, Mapping[str, Any]]]) -> str:
    return f" {json.dumps(kind)}: {{\n" + ",\n".join(_piece(*piece) for piece in pieces) + "\n }"


def _piece(name: str, piece: Mapping[str, Any]) -> str:
    lines = [f'   "{what}": {_lines(piece[what])}' for what in ("version", "defaults", "outcome")]
    return f"  {json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n  }"


def _lines(value: Any) -> str:
    if isinstance(value, Mapping) and value:
        return "{\n" + ",\n".join(f"    {json.dumps(k)}: {_line(v)}" for k, v in value.items()) + "\n   }"
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(f"    {_line(item)}" for item in value) + "\n   ]"
    return _line(value)


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    record(sys.argv[1:])
