"""What is wrong with a model folder, from its files alone: neither torch nor transformers is imported, and no weight is
read. A recipe that names a folder looks at it when it loads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MOST_HEADER = 100_000_000
"""Most bytes of a safetensors header, as the library allows."""
_CONFIG, _ADAPTER, _INDEX = "config.json", "adapter_config.json", "model.safetensors.index.json"


def faults(folder: Path) -> Iterator[str]:
    """Why a `from_pretrained` folder cannot be loaded: no config, no safetensors, shards that are missing, torn
    files."""
    if not folder.is_dir():
        yield f"{folder} is no folder; expected one with config.json and *.safetensors"
        return
    names = {path.name for path in folder.glob("*.safetensors")}
    if not names:
        yield f"{folder} holds no *.safetensors. Weights in other formats are not loaded; convert them"
    yield from _json_faults(folder, _ADAPTER if (folder / _ADAPTER).is_file() else _CONFIG)
    listed = _listed(folder) if (folder / _INDEX).is_file() else set()
    for name in sorted(listed - names):
        yield f"{folder / _INDEX} lists {name!r}, which is not in the folder"
    for name in sorted(names):
        if wrong := _torn(folder / name):
            yield f"{folder / name} is torn ({wrong}). Bring a whole copy"


def _json_faults(folder: Path, name: str) -> Iterator[str]:
    if not (folder / name).is_file():
        yield f"{folder} has no {name}; expected a `from_pretrained` folder"
    elif not isinstance(_json(folder / name), dict):
        yield f"{folder / name} is no JSON object. Bring a whole copy"


def _json(path: Path) -> Any:
    """The JSON in a file; None if it is damaged."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def _listed(folder: Path) -> set[str]:
    """Names of the shards that the index lists. Damaged: the index itself, which stands for the shards."""
    index = _json(folder / _INDEX)
    found = index.get("weight_map") if isinstance(index, dict) else None
    return {str(name) for name in found.values()} if isinstance(found, dict) else {f"{_INDEX} (damaged)"}


def _torn(path: Path) -> str:
    """What is wrong with the length of a safetensors file; empty if it fits its header."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or not 0 < length <= min(MOST_HEADER, size - 8):
            return f"{size} bytes and a header of {length}"
        try:
            header = json.loads(stream.read(length))
            ends = [int(tensor["data_offsets"][1]) for name, tensor in header.items() if name != "__metadata__"]
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            return "its header is damaged"
    expected = 8 + length + max(ends, default=0)
    return "" if size == expected else f"{size} bytes instead of {expected}"
