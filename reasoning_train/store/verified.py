"""Digests of an artifact's files, read from disk once: `ROOT/verified/<artifact>.json` remembers them.

Opening an artifact compares every byte with the manifest. A file that still has the size, the times of change and the
inode that it had when it was read is not read again, by this process or any other one. Copying a store changes them, so
a copy is read once. A store that cannot be written remembers nothing, and every process reads for itself.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from reasoning_train.api.digest import file_digest
from reasoning_train.store.state_files import read_json, write_json

Look = Literal["remembered", "once", "afresh"]
_Seen = dict[str, tuple[list[int], str]]


def verified_path(root: Path, artifact: str) -> Path:
    """Where the digests of the artifact with this folder name are remembered."""
    return root / "verified" / f"{artifact}.json"


class Digests:
    """`with Digests(root, folder) as digest: digest(path)`.

    `look`: read what was not read before (`once`), everything (`afresh`), or nothing (`remembered`)."""

    def __init__(self, root: Path, folder: Path, look: Look = "once") -> None:
        self._path, self._folder, self._look = verified_path(root, folder.name), folder, look
        self._seen: dict[str, Any] = {}
        self._new = False

    def __enter__(self) -> Self:
        """Read what is remembered."""
        self._seen = read_json(self._path, _Seen) or {}
        return self

    def __call__(self, path: Path) -> str | None:
        """The digest of a file of the artifact; None if it would have to be read and may not."""
        name, stamp = path.relative_to(self._folder).as_posix(), _stamp(path)
        known = self._seen.get(name)
        if known and known[0] == stamp and self._look != "afresh":
            return str(known[1])
        if self._look == "remembered":
            return None
        digest = file_digest(path)
        self._seen[name], self._new = [stamp, digest], True
        return digest

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remember what was read."""
        if self._new:
            with contextlib.suppress(OSError):  # a full disk, or a store that others own
                self._path.parent.mkdir(parents=True, exist_ok=True)
                write_json(self._path, self._seen)


def _stamp(path: Path) -> list[int]:
    """What changes when a file does. The time of change of the inode, which no program can set, is part of it."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]
