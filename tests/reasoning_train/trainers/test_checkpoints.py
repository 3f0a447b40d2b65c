"""Sealed checkpoints are whole or gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reasoning_train.trainers.checkpoints import SEAL, is_whole, newest_whole, seal


def checkpoint(root: Path, step: int) -> Path:
    folder = root / f"checkpoint-{step}"
    (folder / "sub").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights" * step)
    (folder / "sub" / "optimizer.pt").write_bytes(b"moments")
    return folder


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(data)


BREAKS: dict[str, Callable[[Path], object]] = {
    "never sealed": lambda folder: (folder / SEAL).unlink(),
    "half a seal": lambda folder: (folder / SEAL).write_text('{"model.safetens'),
    "file missing": lambda folder: (folder / "sub" / "optimizer.pt").unlink(),
    "file cut": lambda folder: (folder / "model.safetensors").write_bytes(b"weigh"),
    "byte flipped": lambda folder: flip(folder / "model.safetensors"),
}


def test_sealed_is_whole(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, 3)
    assert not is_whole(folder)
    seal(folder)
    assert is_whole(folder)
    assert [path.name for path in folder.iterdir() if "partial" in path.name] == []


@pytest.mark.parametrize("broken", BREAKS)
def test_a_torn_checkpoint_is_passed_over_and_removed(tmp_path: Path, broken: str) -> None:
    old, new = checkpoint(tmp_path, 9), checkpoint(tmp_path, 10)
    seal(old)
    seal(new)
    assert newest_whole(tmp_path) == new
    BREAKS[broken](new)
    assert newest_whole(tmp_path) == old
    assert not new.exists()
    assert old.exists()


def test_steps_are_ordered_as_numbers_and_other_folders_left_alone(tmp_path: Path) -> None:
    for step in (2, 10, 9):
        seal(checkpoint(tmp_path, step))
    (tmp_path / "checkpoint-final").mkdir()
    assert newest_whole(tmp_path) == tmp_path / "checkpoint-10"
    assert (tmp_path / "checkpoint-final").exists()


def test_no_checkpoint(tmp_path: Path) -> None:
    assert newest_whole(tmp_path / "none") is None
