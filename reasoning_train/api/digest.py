"""The digest by which files are told apart, in keys, manifests and checkpoints."""

from __future__ import annotations

import hashlib
from pathlib import Path


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes, hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def path_digest(path: Path) -> str:
    """sha256, hex, of a file's bytes, or over the names and digests of a folder's files."""
    if path.is_file():
        return file_digest(path)
    whole = hashlib.sha256()
    for inside in sorted(p for p in path.rglob("*") if p.is_file()):
        whole.update(f"{inside.relative_to(path).as_posix()}\0{path_digest(inside)}\n".encode())
    return whole.hexdigest()
