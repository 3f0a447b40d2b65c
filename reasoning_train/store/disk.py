"""A full disk gives the same UserError wherever it occurs."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from data_gen.errors import UserError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FULL_TEXTS = ("No space left on device", "File too large", "PytorchStreamWriter failed", "unexpected pos")
"""Texts in errors of libraries with their own error types. safetensors passes on the system's text; torch only says
that a write failed."""


@contextlib.contextmanager
def explain_full_disk(root: Path) -> Iterator[None]:
    """Turn "no space", "over quota" and "file too large" into a UserError about the store at `root`; other errors are
    raised unchanged."""
    try:
        yield
    except Exception as error:
        if not _is_full(error):
            raise
        raise UserError(
            f"No space left to write {getattr(error, 'filename', None) or root} ({error}). Nothing unfinished was "
            f"published and finished problems are kept: free space (`reasoning-train gc --store {root}` lists what no "
            "run needs) and rerun the same command."
        ) from error


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in _FULL
    return any(text in str(error) for text in _FULL_TEXTS)
