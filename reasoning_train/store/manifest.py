"""The manifest of an artifact: how it was made, what it was made from, and the size and digest of every file.

`manifest.json` is written last. A folder without a readable one of this schema version counts as absent.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from data_gen.errors import UserError
from reasoning_train.api.digest import file_digest
from reasoning_train.api.plan import Plan, StageNode
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import STAGES
from reasoning_train.store.code import code_version

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


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest in an artifact's folder; None if there is none of this schema version."""
    try:
        manifest: dict[str, Any] = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return manifest if manifest.get("schema_version") == SCHEMA_VERSION else None


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


def damages(folder: Path, manifest: Mapping[str, Any], *, deep: bool = False) -> Iterator[str]:
    """What is wrong with an artifact's files: missing files, wrong sizes and, if `deep`, wrong bytes."""
    for output, described in manifest["outputs"].items():
        for name, (size, digest) in described.get("files", {}).items():
            path = folder / output / name
            if not path.is_file():
                yield f"{output}/{name} is missing"
            elif path.stat().st_size != size:
                yield f"{output}/{name} has {path.stat().st_size} bytes instead of {size}"
            elif deep and file_digest(path) != digest:
                yield f"{output}/{name} has other bytes than when it was made"


def describe_node(node: StageNode, plan: Plan) -> dict[str, Any]:
    """The part of the manifest that is known before the stage runs: identity and resolved configuration."""
    identity = {"uses": node.uses, "version": node.version, "key": node.key, "node": node.name, "recipe": plan.name}
    return {
        "schema_version": SCHEMA_VERSION,
        **identity,
        "config": _plain(node.config, plan),
        "asked": _plain(node.asked, plan),
        "pieces": {place: list(piece) for place, piece in node.pieces.items()},
        "bars": bars_of(node),
        "seed": node.seed,
        "files": dict(node.files),
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


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically: after a crash the file has either the old or the new content."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as stream:
        json.dump(value, stream, indent=1, ensure_ascii=False, default=_refuse)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)


def _refuse(value: Any) -> Any:
    raise UserError(f"Not a JSON value, so it cannot go into a manifest: {value!r} of type {type(value).__name__}.")
