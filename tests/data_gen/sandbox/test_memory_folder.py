"""The folder of a program in WebAssembly: what it holds, what it refuses, and that its size is limited."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest

from data_gen.sandbox.memory_folder import ENTRY, MemoryFolder


def _refused(call: Callable[..., Any], *given: Any) -> str:
    with pytest.raises(OSError) as raised:
        call(*given)
    return errno.errorcode[raised.value.errno]


def test_files_and_folders() -> None:
    folder = MemoryFolder(1 << 20, {"a/b/in.txt": b"x", ".program": b"1"})
    assert folder.list("/") == [("a", "dir"), (".program", "file")] and folder.list("/a/b") == [("in.txt", "file")]
    folder.mkdir("/c")
    folder.write("/c/out", b"12")
    folder.rename("/c/out", "/a/out")
    folder.write("/a/out", b"345")
    assert folder.read("/a/out") == b"345" and folder.list("/c") == []
    folder.rmdir("/c")
    folder.remove("/a/b/in.txt")
    assert folder.list("/") == [("a", "dir"), (".program", "file")] and folder.list("/a/b") == []


def test_what_is_refused() -> None:
    folder = MemoryFolder(1 << 20, {"d/f": b"x"})
    asked = [
        (folder.read, "/none"),
        (folder.read, "/d"),
        (folder.write, "/d", b""),
        (folder.write, "/none/f", b""),
        (folder.write, "/d/f/g", b""),
        (folder.mkdir, "/d"),
        (folder.rmdir, "/d"),
        (folder.rmdir, "/"),
        (folder.remove, "/d"),
        (folder.rename, "/d", "/e"),
        (folder.list, "/d/f"),
    ]
    said = ["ENOENT", "EISDIR", "EISDIR", "ENOENT", "ENOTDIR", "EEXIST", "ENOTEMPTY", "ENOTEMPTY", "EISDIR"]
    assert [_refused(*one) for one in asked] == [*said, "ENOTSUP", "ENOTDIR"]


def test_bytes_and_names_count_until_they_are_removed() -> None:
    folder = MemoryFolder(2 * ENTRY + 10, {"given": bytes(1000)})
    folder.write("/a", bytes(10))
    assert _refused(folder.write, "/a", bytes(11 + ENTRY)) == "ENOSPC" and folder.read("/a") == bytes(10)
    folder.mkdir("/d")
    assert _refused(folder.mkdir, "/e") == _refused(folder.write, "/e", b"") == "ENOSPC"
    folder.remove("/a")
    folder.write("/b", bytes(10))
    assert folder.left == 0
