"""Whether the files of a checkpoint can be read and loaded. A seal says only that they are those that were sealed."""

from __future__ import annotations

import contextlib
import json
import traceback
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path

from data_gen.errors import UserError
from reasoning_train.process import lease

WINDOW = "window.json"
"""File in a checkpoint with the losses since the last log entry. The next entry is then the same however often training
is interrupted."""
_LOADERS = {
    "_load_from_checkpoint",
    "_load_optimizer_and_scheduler",
    "_load_rng_state",
    "deepspeed_load_checkpoint",
    "load_from_json",
    "restore",
}
"""Functions of transformers' trainer, some with ours in their place, that read a checkpoint and do nothing else."""


def unreadable(folder: Path) -> str:
    """The first file that cannot be read, and why; empty if all can be. No tensor is read, and no pickle runs code.

    What the machine is to blame for passes through.
    """
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            _open(path)
        except Exception as error:  # of many kinds: UnpicklingError, SafetensorError, RuntimeError, KeyError
            if _of_machine(error):
                raise
            return f"{path.relative_to(folder).as_posix()}: {_said(error)}"
    return ""


def _open(path: Path) -> None:
    if path.suffix == ".json":
        content = json.loads(path.read_bytes())
        if path.name == WINDOW and not _is_window(content):
            raise ValueError("not a list of losses by their names")
    elif path.suffix == ".safetensors":
        from safetensors import safe_open

        with safe_open(path, framework="pt") as tensors:
            tensors.keys()
    elif path.suffix in (".pt", ".pth"):
        _open_pickle(path)


def _is_window(content: object) -> bool:
    return isinstance(content, list) and all(
        isinstance(step, dict) and all(isinstance(value, float) for value in step.values()) for step in content
    )


def _open_pickle(path: Path) -> None:
    import torch
    from transformers.trainer_pt_utils import safe_globals

    with path.open("rb") as stream:  # a path that cannot be opened would count as no zip file
        if not zipfile.is_zipfile(stream):
            raise ValueError("not a file that torch.save has written")
    if path.parent.name.startswith("global_step"):  # of DeepSpeed, whose own classes are in it: looked at, not loaded
        torch.serialization.get_unsafe_globals_in_checkpoint(path)
        return
    with safe_globals():
        torch.load(path, map_location="cpu", weights_only=True, mmap=True)


@contextlib.contextmanager
def loading(checkpoint: Path | None) -> Iterator[None]:
    """Training that begins by loading a checkpoint. One that can be read but does not load, because it does not fit the
    model for instance, is set aside, so that the next run goes on from the one before; a UserError says so."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if checkpoint is None or _of_machine(error) or not _while_loading(error):
            raise
        aside = set_aside(checkpoint)
        raise UserError(
            f"The checkpoint {checkpoint} could not be loaded ({_said(error)}); it was set aside as {aside.name}. Run "
            "the same command again: training goes on from the checkpoint before it, or from the start."
        ) from error


def _of_machine(error: Exception) -> bool:
    """Whether memory, a disk, a device or another process that trains is to blame, so that the same files may load the
    next time."""
    import torch

    theirs = (MemoryError, OSError, torch.OutOfMemoryError, torch.AcceleratorError, torch.distributed.DistError)
    return isinstance(error, theirs) or "allocate memory" in str(error)


def _while_loading(error: Exception) -> bool:
    return any(frame.f_code.co_name in _LOADERS for frame, _ in traceback.walk_tb(error.__traceback__))


def set_aside(checkpoint: Path) -> Path:
    """Rename a checkpoint to what is not resumed; returns its new path."""
    lease.require()
    aside = checkpoint.with_name(f"set-aside-{uuid.uuid4().hex[:8]}-{checkpoint.name}")
    with contextlib.suppress(FileNotFoundError):  # a process that trains with this one has just done the same
        checkpoint.rename(aside)
    return aside


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
