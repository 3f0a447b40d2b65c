"""The header of a safetensors file, read within bounds: what it says must fit the file, whoever wrote it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

MOST_HEADER = 100_000_000
"""Most bytes of a header, as the library allows."""
_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"), 1),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 2),
    **dict.fromkeys(("I32", "U32", "F32"), 4),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 8),
}


def torn(path: Path) -> str:
    """What is wrong with a safetensors file; empty if header, tensors and length fit each other."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or not 0 < length <= min(MOST_HEADER, size - 8):
            return f"{size} bytes and a header of {length}"
        tensors = _tensors(stream.read(length))
    if tensors is None:
        return "its header is damaged"
    at = 0
    for name, dtype, shape, (begin, end) in sorted(tensors, key=lambda tensor: tensor[3]):
        if begin != at or end < begin:
            return f"tensor {name[:80]!r} lies at {begin} to {end}, not from {at} on"
        if dtype in _BYTES and math.prod(shape) * _BYTES[dtype] != end - begin:
            return f"tensor {name[:80]!r} has {end - begin} bytes, which do not fit its shape"
        at = end
    expected = 8 + length + at
    return "" if size == expected else f"{size} bytes instead of {expected}"


def shapes(path: Path) -> list[list[int]]:
    """The shapes of all tensors of a file that is not torn."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        return [shape for _, _, shape, _ in _tensors(stream.read(length)) or []]


def _tensors(header: bytes) -> list[tuple[str, str, list[int], tuple[int, int]]] | None:
    """(name, dtype, shape, place) of every tensor; None if the header is damaged."""
    try:
        found = json.loads(header)
        return [
            (name, str(tensor["dtype"]), _numbers(tensor["shape"]), _place(tensor["data_offsets"]))
            for name, tensor in found.items()
            if name != "__metadata__"
        ]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _numbers(value: Any) -> list[int]:
    if not isinstance(value, list) or any(type(one) is not int or not 0 <= one < 2**63 for one in value):
        raise ValueError("no list of sizes")
    return value


def _place(value: Any) -> tuple[int, int]:
    begin, end = _numbers(value)
    return begin, end
