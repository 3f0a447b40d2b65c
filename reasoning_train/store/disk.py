"""A full disk, and a file that may not be read or written, give the same UserError wherever they occur."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from data_gen.errors import UserError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
"""Errors of files that may not be read or written."""
_FULL_TEXTS = ("No space left on device", "File too large", "PytorchStreamWriter failed", "unexpected pos")
"""Texts in errors of libraries with their own error types. safetensors passes on the system's text; torch only says
that a write failed."""


@contextlib.contextmanager
def explain_disk(root: Path) -> Iterator[None]:
    """Turn "no space", "over quota", "file too large", "permission denied" and "read-only file system" into a UserError
    about the store at `root`; other errors are raised unchanged."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DENIED and error.filename is not None:
            raise UserError(denied(error)) from error
        if not _is_full(error):
            raise
        raise UserError(
            f"No space left to write {getattr(error, 'filename', None) or root} ({error}). Nothing unfinished was "
            f"published and finished problems are kept: free space (`reasoning-train gc --store {root}` lists what no "
            "run needs) and rerun the same command."
        ) from error


def denied(error: OSError) -> str:
    """The message for a file that may not be read or written."""
    return (
        f"{error.filename}: {error.strerror}. Everybody who uses a store needs the right to read all of it and, to "
        "run recipes, to write in its folders: its owners can grant it with `chmod -R g+rwX STORE` (and `umask 002` "
        "for what comes). Or name another store with `--store DIR`."
    )


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in _FULL
    return any(text in str(error) for text in _FULL_TEXTS)
