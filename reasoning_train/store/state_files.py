"""Small files of state: written whole or not at all, and read so that a damaged one counts as absent.

Every JSON file by which the program finds its way in a store (manifests, runs, attempts, inputs, seals) is read here. A
file that cannot be read, or holds something else than its reader expects, is named once on standard error, and the
program goes on as if the file were not there: nothing that one file can hold ends a command for the whole store.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from data_gen.errors import UserError
from reasoning_train.process import lease

MOST_BYTES = 1 << 28
"""A larger file of state is damaged."""


def write_text(path: Path, text: str) -> None:
    """Replace a file's text by way of a temporary file: after a crash or on a full disk it has the old text or the new.

    A file that exists keeps its mode; of a link, the file behind it is replaced. Raises TakenOver if another process
    has taken over what this one works on (process/lease.py).
    """
    lease.require()
    path = path.resolve()
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")  # containers share numbers of processes
    try:
        with temporary.open("w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileNotFoundError):
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write JSON as `write_text` does."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, default=_refuse))


def _refuse(value: Any) -> Any:
    raise UserError(f"Not a JSON value, so it cannot go into a manifest: {value!r} of type {type(value).__name__}.")


class Shape(BaseModel):
    """What a file of state must hold at least; keys beyond it are kept."""

    model_config = ConfigDict(extra="allow", strict=True)


def read_json(path: Path, shape: Any) -> Any:
    """The JSON of a file of state; None if there is no file, or a damaged one, which is named on standard error.

    `shape`: what the file must hold, as a type that pydantic knows. The value is returned as it was read.
    """
    data = _bytes(path)
    try:
        return None if data is None else _fitting(data, shape)
    except (ValueError, RecursionError) as error:
        _tell(path, error)
        return None


def read_json_lines(path: Path, shape: Any) -> Iterator[Any]:
    """The JSON of every whole line of a file; none if there is no file. Damaged lines are left out, and named but for
    a last one without its end, which a killed process leaves."""
    for number, line in enumerate((_bytes(path) or b"").splitlines(keepends=True), start=1):
        try:
            value = _fitting(line, shape)
        except (ValueError, RecursionError) as error:
            if line.endswith(b"\n"):
                _tell(f"{path}:{number}", error)
            continue
        yield value


def _fitting(data: bytes, shape: Any) -> Any:
    """The JSON in the data. ValueError if it lacks the shape."""
    _adapter(shape).validate_json(data, strict=True)
    return json.loads(data)


@cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


def _bytes(path: Path) -> bytes | None:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise OSError("it is no file")
        if path.stat().st_size > MOST_BYTES:
            raise OSError(f"it has {path.stat().st_size} bytes")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        _tell(path, error)
        return None


_told: set[str] = set()


def _tell(what: Path | str, error: Exception) -> None:
    """Name a damaged file, once a process."""
    if str(what) in _told:
        return
    _told.add(str(what))
    print(f"warning: {what} is damaged ({_said(error)[:200]}) and counts as absent", file=sys.stderr, flush=True)


def _said(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'the whole'}: {first['msg']}"
    return getattr(error, "strerror", None) or str(error)
