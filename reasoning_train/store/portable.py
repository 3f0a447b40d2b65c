"""What artifacts say of files and servers outside the store: names, bytes and kinds, never where they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

ADDRESSES = frozenset({"base_url"})
"""Fields of configs that hold the address of a server."""


def file_names(files: Mapping[str, str]) -> dict[str, str]:
    """Path -> what stands for it in a manifest. `files`: path -> sha256.

    >>> file_names({"/home/ana/test.jsonl": "8f2c40aa91d07b"})
    {'/home/ana/test.jsonl': 'test.jsonl (sha256 8f2c40aa91d0)'}
    """
    return {path: f"{PurePath(path).name} (sha256 {sha256[:12]})" for path, sha256 in files.items()}


def without_places(value: Any, names: Mapping[str, str]) -> Any:
    """A plain value with the names of files in place of their paths, and without the hosts of servers.

    >>> without_places({"engine": {"base_url": "http://gpu7.lab.example:8000/v1"}}, {})
    {'engine': {'base_url': 'http://HOST/v1'}}
    """
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, Mapping):
        return {
            key: _without_host(item) if key in ADDRESSES and isinstance(item, str) else without_places(item, names)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [without_places(item, names) for item in value]
    return value


def _without_host(url: str) -> str:
    return urlsplit(url)._replace(netloc="HOST").geturl()
