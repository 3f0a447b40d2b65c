"""Sealed checkpoints are whole or gone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reasoning_train.trainers.checkpoints import SEAL, is_whole, newest_whole, seal

ROOT = Path(__file__).parents[3]


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


def got_by_two(folder: Path) -> list[str]:
    """What each of two processes that train together resumes from."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "tests.reasoning_train.trainers.resuming", str(folder)]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-9000:]
    return [(folder / f"got-{rank}").read_text() for rank in (0, 1)]


def test_processes_that_train_together_pass_over_the_same_torn_checkpoints(tmp_path: Path) -> None:
    """So many that both would be removing at once if each looked for itself."""
    seal(checkpoint(tmp_path, 1), world=2)
    for step in range(2, 400):
        checkpoint(tmp_path, step)
    assert got_by_two(tmp_path) == ["checkpoint-1", "checkpoint-1"]
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-1"]


def test_what_the_first_process_refuses_all_refuse(tmp_path: Path) -> None:
    seal(checkpoint(tmp_path, 3), world=4)
    one, other = got_by_two(tmp_path)
    assert one == other and "written by 4 process(es); this run has 2" in one
