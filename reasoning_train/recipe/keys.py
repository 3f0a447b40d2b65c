"""Content keys: what an artifact is made of, and nothing about how or where it is made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from reasoning_train.api.refs import Ref, Unkeyed
from reasoning_train.api.stage import StageConfig

KEY_SCHEMA = 1
"""Bump when the way keys are made changes: no artifact of an earlier schema is found again."""


def node_key(
    *,
    uses: str,
    version: int,
    config: Mapping[str, Any],
    seed: int | None,
    identify: Callable[[Ref], tuple[str, str]],
    files: Mapping[str, str],
    gate: tuple[str, str] | None = None,
) -> str:
    """sha256, hex, over canonical JSON of what decides a stage's output.

    `config` holds the keyed fields only; `identify(ref)` gives the (key, output name) that stands in place of a
    reference; a text that is one of `files` (path -> sha256) is replaced by the digest of its bytes; `gate` holds the
    keys of the decision that may turn the node into a pass-through and of the node that it would pass on.
    """
    parts = {
        "schema": KEY_SCHEMA,
        "uses": uses,
        "version": version,
        "config": _canonical(config, identify, files),
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


def keyed_fields(model: type[StageConfig], config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a config that enter the key: all but those marked `Unkeyed`."""
    unkeyed = {
        name for name, field in model.model_fields.items() if any(isinstance(mark, Unkeyed) for mark in field.metadata)
    }
    return {name: value for name, value in config.items() if name not in unkeyed}
