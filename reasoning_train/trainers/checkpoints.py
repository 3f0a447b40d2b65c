"""Trainer checkpoints that are whole or absent. A seal lists sizes and hashes; only sealed folders are resumed.

A trainer's optimizer state is the only pickle that is ever read, and only if its seal matches.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

from data_gen.errors import UserError
from reasoning_train.api.digest import file_digest

SEAL = "whole.json"


def seal(folder: Path, *, world: int = 1) -> None:
    """Write the seal last, atomically. A kill before this leaves a folder that `newest_whole` removes. `world`: number
    of processes that wrote the checkpoint."""
    files = {
        str(p.relative_to(folder)): [p.stat().st_size, file_digest(p)]
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name != SEAL
    }
    partial = folder / f"{SEAL}.partial"
    with partial.open("w", encoding="utf-8") as out:
        json.dump({"world": world, "files": files}, out)
        out.flush()
        os.fsync(out.fileno())
    partial.rename(folder / SEAL)


def is_whole(folder: Path) -> bool:
    """Whether every sealed file exists with its size and hash."""
    try:
        files = json.loads((folder / SEAL).read_text(encoding="utf-8"))["files"]
        return all(
            (folder / name).stat().st_size == size and file_digest(folder / name) == digest
            for name, (size, digest) in files.items()
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def newest_whole(output_dir: Path, *, world: int = 1) -> Path | None:
    """The newest whole checkpoint. Newer incomplete ones are removed so that nothing else picks them up.

    UserError if another number of processes wrote it, because its shards and random states do not fit.
    """
    found = [
        (int(m[1]), p) for p in output_dir.glob("checkpoint-*") if (m := re.fullmatch(r"checkpoint-(\d+)", p.name))
    ]
    for _, folder in sorted(found, reverse=True):
        if is_whole(folder):
            return _of_world(folder, world)
        shutil.rmtree(folder)
    return None


def _of_world(folder: Path, world: int) -> Path:
    found = json.loads((folder / SEAL).read_text(encoding="utf-8"))["world"]
    if found != world:
        raise UserError(
            f"The checkpoint {folder} was written by {found} process(es); this run has {world}. Either start it with "
            f"{found} again, or remove {folder.parent} to train from the start."
        )
    return folder
