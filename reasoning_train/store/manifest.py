"""The manifest of an artifact: how it was made, what it was made from, and the size and digest of every file.

`manifest.json` is written last. A folder without a readable one of this schema version counts as absent.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from reasoning_train.api.digest import file_digest
from reasoning_train.api.plan import Plan, StageNode
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import STAGES
from reasoning_train.store.code import code_version
from reasoning_train.store.portable import file_names, without_places
from reasoning_train.store.state_files import Shape, read_json

SCHEMA_VERSION = 2
FILE_NAME = "manifest.json"
PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "peft",
    "datasets",
    "pyarrow",
    "numpy",
    "safetensors",
    "mpmath",
    "pydantic",
)
"""Packages whose versions are in the manifest."""


def _other(version: int) -> int:
    if version == SCHEMA_VERSION:
        raise ValueError("not whole")
    return version


class _Input(Shape):
    key: str
    digest: str | None


class _Output(Shape):
    kind: str
    digest: str
    bytes: int
    files: dict[str, tuple[int, str]]


class _Pointer(Shape):
    uses: str
    key: str


class _Manifest(Shape):
    """What every reader of a manifest relies on."""

    schema_version: Literal[2]
    uses: str
    key: str
    node: str
    recipe: str
    seed: int | None
    config: dict[str, Any]
    code: dict[str, Any]
    wall_s: float
    inputs: dict[str, _Input]
    outputs: dict[str, _Output]
    counts: dict[str, int]
    metrics: dict[str, Any]
    pointer: _Pointer | None = None


class _OtherVersion(Shape):
    """A manifest of another schema version is not damaged."""

    schema_version: Annotated[int, AfterValidator(_other)]


_AnyManifest = Annotated[_Manifest | _OtherVersion, Field(union_mode="left_to_right")]


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest in an artifact's folder; None if there is none of this schema version, or a damaged one.

    PermissionError if it may not be read: another user's artifact is neither absent nor to be made again.
    """
    path = folder / FILE_NAME
    if path.exists() and not os.access(path, os.R_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    found: dict[str, Any] | None = read_json(path, _AnyManifest)
    return found if found and found["schema_version"] == SCHEMA_VERSION else None


def has_damaged_manifest(folder: Path) -> bool:
    """Whether there is a manifest that cannot be read, or one of another schema version."""
    return os.path.lexists(folder / FILE_NAME) and read_manifest(folder) is None


def describe_output(folder: Path, kind: str) -> dict[str, Any]:
    """Kind, rows (if there are Parquet parts), bytes, files and digest of an output's folder."""
    from reasoning_train.store.rows import Rows

    files = {name: [(folder / name).stat().st_size, file_digest(folder / name)] for name in _names(folder)}
    rows = {"rows": len(Rows(folder))} if any(name.startswith("part-") for name in files) else {}
    return {
        "kind": kind,
        **rows,
        "bytes": sum(size for size, _ in files.values()),
        "digest": _tree_digest(files),
        "files": files,
    }


def _tree_digest(files: Mapping[str, list[Any]]) -> str:
    return hashlib.sha256(
        json.dumps(sorted((name, digest) for name, (_, digest) in files.items())).encode()
    ).hexdigest()


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def damages(
    folder: Path, manifest: Mapping[str, Any], digest_of: Callable[[Path], str | None] = file_digest
) -> Iterator[str]:
    """What is wrong with an artifact's files: missing files, wrong sizes and wrong bytes, as far as `digest_of` knows
    them."""
    for output, described in manifest["outputs"].items():
        for name, (size, digest) in described.get("files", {}).items():
            path = folder / output / name
            if not path.is_file():
                yield f"{output}/{name} is missing"
            elif path.stat().st_size != size:
                yield f"{output}/{name} has {path.stat().st_size} bytes instead of {size}"
            elif digest_of(path) not in (digest, None):
                yield f"{output}/{name} has other bytes than when it was made"


def describe_node(node: StageNode, plan: Plan) -> dict[str, Any]:
    """The part of the manifest that is known before the stage runs: identity and resolved configuration."""
    names = file_names(node.files)
    identity = {"uses": node.uses, "version": node.version, "key": node.key, "node": node.name, "recipe": plan.name}
    return {
        "schema_version": SCHEMA_VERSION,
        **identity,
        "config": without_places(_plain(node.config, plan), names),
        "asked": without_places(_plain(node.asked, plan), names),
        "pieces": {place: list(piece) for place, piece in node.pieces.items()},
        "bars": bars_of(node),
        "seed": node.seed,
        "files": {names[path]: sha256 for path, sha256 in node.files.items()},
    }


def bars_of(node: StageNode) -> dict[str, Any]:
    """Field -> value of the bars that decide whether the node's artifact is published: `{"min_rows": 50}`."""
    return {name: node.config[name] for name in STAGES.get(node.uses).bars if name in node.config}


def other_bars(node: StageNode, manifest: Mapping[str, Any]) -> list[str]:
    """The bars under which an artifact was published, where they are not those of today's recipe: `["min_rows=1 (now
    50)"]`."""
    then, now = manifest.get("bars", {}), bars_of(node)
    return [f"{name}={then[name]} (now {bar})" for name, bar in now.items() if name in then and then[name] != bar]


def _plain(value: Any, plan: Plan) -> Any:
    if isinstance(value, Ref):
        return {"node": value.node, "output": value.output, "key": plan.nodes[value.node].key}
    if isinstance(value, Mapping):
        return {key: _plain(item, plan) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, plan) for item in value]
    return value


def describe_machine(threads: int, modules: Mapping[str, str]) -> dict[str, Any]:
    """Device, threads, code and package versions of this process. `modules`: fingerprints of the modules that
    ran."""
    return {
        "device": _device(),
        "threads": threads,
        "code": {**code_version(), "modules": dict(modules)},
        "packages": _packages(),
    }


def _device() -> str:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return f"cpu ({platform.machine()})"


def _packages() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
