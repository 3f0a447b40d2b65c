"""Sealed checkpoints are whole or gone."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from data_gen.errors import UserError
from reasoning_train.trainers.checkpoints import SEAL, is_whole, newest_whole, seal
from reasoning_train.trainers.readable import loading

ROOT = Path(__file__).parents[3]
WEIGHTS = save({"weight": torch.arange(64.0)})


def moments(value: object) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


MOMENTS = moments({"state": {0: torch.ones(3)}})


def checkpoint(root: Path, step: int) -> Path:
    folder = root / f"checkpoint-{step}"
    (folder / "sub").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    (folder / "sub" / "optimizer.pt").write_bytes(MOMENTS)
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


class Planted:
    """Its pickle makes a folder wherever it is read with code."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.target),)


SEALED: dict[str, tuple[str, Callable[[Path], bytes]]] = {
    "pickle of code": ("sub/optimizer.pt", lambda folder: pickle.dumps(Planted(folder / "planted"))),
    "code in a torch file": ("rng_state.pth", lambda folder: moments(Planted(folder / "planted"))),
    "code in a shard of DeepSpeed": ("global_step9/a.pt", lambda folder: pickle.dumps(Planted(folder / "planted"))),
    "no torch file": ("scheduler.pt", lambda _: b"moments"),
    "empty torch file": ("scheduler.pt", lambda _: b""),
    "half a torch file": ("sub/optimizer.pt", lambda _: MOMENTS[: len(MOMENTS) // 2]),
    "half of the weights": ("model.safetensors", lambda _: WEIGHTS[:-9]),
    "no JSON": ("trainer_state.json", lambda _: b'{"global'),
    "no losses": ("window.json", lambda _: b'{"loss": 1.0}'),
    "losses that are no numbers": ("window.json", lambda _: b'[{"loss": "low"}]'),
}


@pytest.mark.parametrize("case", SEALED)
def test_what_is_sealed_but_cannot_be_read_is_set_aside(
    tmp_path: Path, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = checkpoint(tmp_path, 9), checkpoint(tmp_path, 10)
    name, content = SEALED[case]
    (new / name).parent.mkdir(exist_ok=True)
    (new / name).write_bytes(content(tmp_path))
    seal(old)
    seal(new)
    assert newest_whole(tmp_path) == old
    assert not new.exists() and not (tmp_path / "planted").exists()
    [aside] = tmp_path.glob("set-aside-*-checkpoint-10")
    said = capsys.readouterr().out
    assert f"the checkpoint {new} cannot be read ({name}: " in said and aside.name in said
    assert newest_whole(tmp_path) == old
    assert capsys.readouterr().out == ""


@contextlib.contextmanager
def address_space(more: int) -> Iterator[None]:
    """This process may take so many more bytes of address space."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def test_what_this_machine_has_no_room_to_read_stays(tmp_path: Path) -> None:
    """Torch calls it a RuntimeError."""
    folder = checkpoint(tmp_path, 3)
    torch.save({"state": {0: torch.zeros(1 << 25)}}, folder / "optimizer.pt")
    seal(folder)
    assert newest_whole(tmp_path) == folder
    with pytest.raises(RuntimeError, match="allocate memory"), address_space(1 << 26):
        newest_whole(tmp_path)
    assert newest_whole(tmp_path) == folder


def test_what_is_sealed_but_cannot_be_read_all_processes_pass_over(tmp_path: Path) -> None:
    for step in (3, 4):
        folder = checkpoint(tmp_path, step)
        if step == 4:
            (folder / "scheduler.pt").write_bytes(b"moments")
        seal(folder, world=2)
    assert got_by_two(tmp_path) == ["checkpoint-3", "checkpoint-3"]


def test_another_number_of_processes_is_refused_before_anything_is_set_aside(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, 3)
    (folder / "scheduler.pt").write_bytes(b"moments")
    seal(folder, world=4)
    with pytest.raises(UserError, match="written by 4 process"):
        newest_whole(tmp_path)
    assert folder.exists()


def test_what_is_no_folder_makes_way_for_checkpoints(tmp_path: Path) -> None:
    seal(checkpoint(tmp_path, 3))
    (tmp_path / "checkpoint-4").write_text("a file")
    (tmp_path / "checkpoint-5").symlink_to(tmp_path / "nowhere")
    (tmp_path / "checkpoint-final").write_text("the user's")
    assert newest_whole(tmp_path) == tmp_path / "checkpoint-3"
    left = {path.name for path in tmp_path.iterdir() if not path.name.startswith("set-aside-")}
    assert left == {"checkpoint-3", "checkpoint-final"} and len(list(tmp_path.iterdir())) == 4


def _load_rng_state(error: BaseException) -> None:
    """Stands for the function of transformers of this name."""
    raise error


def test_a_checkpoint_that_does_not_load_is_set_aside(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, 3)
    said = r"checkpoint-3 could not be loaded \(KeyError: 'cpu'\); it was set aside as"
    with pytest.raises(UserError, match=said), loading(folder):
        _load_rng_state(KeyError("cpu"))
    assert newest_whole(tmp_path) is None
    assert len(list(tmp_path.glob("set-aside-*-checkpoint-3"))) == 1


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA"),
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
        torch.distributed.DistNetworkError("the other process is gone"),
        OSError(5, "I/O"),
        UserError("theirs"),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_not_the_fault_of_a_checkpoint_leaves_it(tmp_path: Path, error: BaseException) -> None:
    folder = checkpoint(tmp_path, 3)
    with pytest.raises(type(error)), loading(folder):
        _load_rng_state(error)
    with pytest.raises(KeyError), loading(folder):
        raise KeyError("while training")
    assert folder.exists()
