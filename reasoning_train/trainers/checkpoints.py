"""Trainer checkpoints that are whole or absent. A seal lists sizes and hashes; only sealed folders are resumed.

A checkpoint that is sealed but cannot be read is set aside (readable.py).

A trainer's optimizer state is the only pickle that is ever read, and only if its seal matches.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from data_gen.errors import UserError
from reasoning_train.api.digest import file_digest
from reasoning_train.process.ranks import first_decides, world_size
from reasoning_train.store.state_files import Shape, read_json, write_json
from reasoning_train.trainers.readable import set_aside, unreadable

SEAL = "whole.json"
_CHECKPOINT = re.compile(r"checkpoint-(\d+)")


class _Seal(Shape):
    world: int
    files: dict[str, tuple[int, str]]


def seal(folder: Path, *, world: int = 1) -> None:
    """Write the seal last, atomically. A kill before this leaves a folder that `newest_whole` removes. `world`: number
    of processes that wrote the checkpoint."""
    files = {name: [path.stat().st_size, file_digest(path)] for name, path in _files(folder)}
    write_json(folder / SEAL, {"world": world, "files": files})


def _files(folder: Path) -> list[tuple[str, Path]]:
    """(relative name, path) of all files but the seal."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SEAL)
    return [(path.relative_to(folder).as_posix(), path) for path in found]


def is_whole(folder: Path) -> bool:
    """Whether the files are those that were sealed, all of them and no others, with their sizes and hashes."""
    sealed = read_json(folder / SEAL, _Seal)
    there = dict(_files(folder))
    if sealed is None or not there or sealed["files"].keys() != there.keys():
        return False
    try:
        return all(
            there[name].stat().st_size == size and file_digest(there[name]) == digest
            for name, (size, digest) in sealed["files"].items()
        )
    except OSError:
        return False


def to_resume(output_dir: Path) -> Path | None:
    """What `newest_whole` finds for this world, the same in every process. The first process alone looks, because it
    also removes."""
    return first_decides(lambda: newest_whole(output_dir, world=world_size()))


def newest_whole(output_dir: Path, *, world: int = 1) -> Path | None:
    """The newest whole checkpoint. Newer incomplete ones are removed so that nothing else picks them up; newer
    ones that are whole but cannot be read are set aside.

    UserError if another number of processes wrote it, because its shards and random states do not fit.
    """
    _clear_way(output_dir)
    for folder in checkpoints(output_dir):
        if not is_whole(folder):
            shutil.rmtree(folder)
            continue
        _of_world(folder, world)
        wrong = unreadable(folder)
        if not wrong:
            return folder
        aside = set_aside(folder)
        print(f"the checkpoint {folder} cannot be read ({wrong}); it was set aside as {aside.name}", flush=True)
    return None


def _clear_way(output_dir: Path) -> None:
    """Set aside what has a checkpoint's name and is no folder: the trainer could not save one there."""
    for path in output_dir.glob("checkpoint-*"):
        if not path.is_dir() and _CHECKPOINT.fullmatch(path.name):
            print(f"{path} is no folder; it was set aside as {set_aside(path).name}", flush=True)


def checkpoints(output_dir: Path) -> list[Path]:
    """The folders of checkpoints, whole or not, newest first."""
    found = ((_CHECKPOINT.fullmatch(path.name), path) for path in output_dir.glob("checkpoint-*"))
    return [path for _, path in sorted(((int(m[1]), p) for m, p in found if m and p.is_dir()), reverse=True)]


def world_of(folder: Path) -> int | None:
    """Number of processes that wrote a checkpoint; None if it has no seal."""
    sealed: dict[str, Any] | None = read_json(folder / SEAL, _Seal)
    return sealed["world"] if sealed else None


def _of_world(folder: Path, world: int) -> Path:
    found = world_of(folder)
    if found != world:
        raise UserError(
            f"The checkpoint {folder} was written by {found} process(es); this run has {world}. Either start it with "
            f"{found} again, or remove {folder.parent} to train from the start."
        )
    return folder
