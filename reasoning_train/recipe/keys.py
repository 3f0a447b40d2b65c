"""Content keys: they depend on what an artifact is made from, not on how or where it is made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from reasoning_train.api.refs import Ref

KEY_SCHEMA = 2
"""Increase it when the key computation changes. Artifacts of an earlier schema are then no longer found."""


def node_key(
    *,
    uses: str,
    version: int,
    asked: Mapping[str, Any],
    pieces: Mapping[str, tuple[str, int]],
    seed: int | None,
    identify: Callable[[Ref], tuple[str, str]],
    files: Mapping[str, str],
    gate: tuple[str, str] | None = None,
) -> str:
    """sha256, hex, over canonical JSON of what decides a stage's output.

    `asked` and `pieces` come from asked.py. Version 1 of a piece is left out, so that a piece can get a version later
    without changing keys. `identify(ref)` gives the (key, output name) that replaces a reference. A text that is one of
    `files` (path -> sha256) is replaced by the digest of its bytes. `gate` has the keys of the decision that may turn
    the node into a pass-through and of the node that it would pass on.
    """
    parts = {
        "schema": KEY_SCHEMA,
        "uses": uses,
        "version": version,
        "asked": _canonical(asked, identify, files),
        "pieces": {place: [name, number] for place, (name, number) in pieces.items() if number != 1},
        "seed": seed,
        "gate": list(gate) if gate else None,
    }
    return hashlib.sha256(
        json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    ).hexdigest()


def _canonical(value: Any, identify: Callable[[Ref], tuple[str, str]], files: Mapping[str, str]) -> Any:
    if isinstance(value, Ref):
        key, output = identify(value)
        return {"key": key, "output": output}
    if isinstance(value, Mapping):
        return {name: _canonical(item, identify, files) for name, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item, identify, files) for item in value]
    if isinstance(value, str) and value in files:
        return {"sha256": files[value]}
    return value
