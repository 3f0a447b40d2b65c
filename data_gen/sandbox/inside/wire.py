"""In the jails: values as JSON between a program and its tests.

Only values travel: none, truth values, numbers, texts, bytes, built-in types and containers of them, each as its plain
type. Whatever else a program has stays with it; the tests hold a number that stands for it.
"""

import builtins
import collections
import json
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

sys.set_int_max_str_digits(0)  # the limit of processor time is enough
_MAKE: dict[str, Any] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "deque": collections.deque,
}


def send(pipe: BinaryIO, message: Any) -> None:
    """A line."""
    pipe.write(json.dumps(message).encode() + b"\n")
    pipe.flush()


def receive(pipe: BinaryIO) -> Any:
    """The next line. EOFError if there is none."""
    line = pipe.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    return json.loads(line)


def packed(value: Any, stands_for: Callable[[Any], int]) -> Any:
    """A value for `json.dumps`: every list of JSON begins with a tag."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes):
        return ["bytes", bytes(value).hex()]
    if isinstance(value, type):
        name = type.__getattribute__(value, "__name__")
        return ["type", name] if getattr(builtins, name, None) is value else ["ref", stands_for(value)]
    if isinstance(value, complex):
        return ["complex", value.real, value.imag]
    if isinstance(value, dict):
        return ["dict", [[packed(k, stands_for), packed(v, stands_for)] for k, v in dict.items(value)]]
    for tag, kind in _MAKE.items():
        if isinstance(value, kind):
            return [tag, [packed(element, stands_for) for element in kind.__iter__(value)]]
    return ["ref", stands_for(value)]


def unpacked(value: Any, refers_to: Callable[[int], Any]) -> Any:
    """The value that was packed. ValueError for anything else."""
    if not isinstance(value, list):
        if isinstance(value, dict):
            raise ValueError("an object")
        return value
    tag, *rest = value
    if tag == "ref":
        return refers_to(int(rest[0]))
    if tag == "bytes":
        return bytes.fromhex(rest[0])
    if tag == "type":
        return _built_in_type(str(rest[0]))
    if tag == "complex":
        return complex(float(rest[0]), float(rest[1]))
    if tag == "dict":
        return {unpacked(key, refers_to): unpacked(element, refers_to) for key, element in rest[0]}
    if tag not in _MAKE:
        raise ValueError(f"tag {tag}")
    return _MAKE[tag]([unpacked(element, refers_to) for element in rest[0]])


def _built_in_type(name: str) -> type:
    found = getattr(builtins, name, None)
    if not isinstance(found, type):
        raise ValueError(f"type {name}")
    return found
