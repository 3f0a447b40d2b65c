"""Rank, world size and synchronisation of the processes of one torchrun."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn, TypeVar, cast

from data_gen.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")


def rank() -> int:
    """This process's rank; 0 if it was started alone."""
    return int(os.environ.get("RANK", "0")) if world_size() > 1 else 0


def world_size() -> int:
    """Number of processes that train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def launched() -> bool:
    """Whether a launcher of several processes (torchrun, `deepspeed`, `accelerate launch`) started this one."""
    return _LAUNCHED


_LAUNCHED = "RANK" in os.environ


def forget() -> None:
    """Make this process alone from here on: nothing that it starts or imports sees the others."""
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT"):
        os.environ.pop(name, None)


def own_devices(local_rank: int, each: int) -> None:
    """Restrict this process to `each` GPUs of its node; with 0 all stay visible. Call it before torch is imported."""
    if not each:
        return
    first = local_rank * each
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = visible.split(",") if visible else [str(i) for i in range(first + each)]
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(devices[first : first + each])


def any_of(flag: bool) -> bool:
    """Whether the flag is set on any process. All processes get the same answer."""
    if world_size() == 1:
        return flag
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    return bool(summed({"flag": torch.tensor(float(flag), device=device)})["flag"] > 0)


def join() -> None:
    """Initialise the process group, with NCCL on GPUs, else gloo. Does nothing if the process is alone or has
    joined."""
    import torch
    import torch.distributed as dist

    if world_size() > 1 and not dist.is_initialized():
        gpu = torch.cuda.is_available()
        if gpu:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl" if gpu else "gloo")
        atexit.register(_leave)


def _leave() -> None:
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()


def end(code: int) -> NoReturn:
    """Run the exit handlers, then end a process that trained with others without shutting the interpreter down.

    Such a process sometimes dies of SIGABRT during interpreter shutdown, after its work is done ("terminate called
    without an active exception"), probably because a thread still holds a tensor of the last collective.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def barrier() -> None:
    """Wait until every process gets here."""
    if world_size() > 1:
        import torch.distributed as dist

        dist.barrier()


def first_decides(decide: Callable[[], T]) -> T:
    """What the call returns in the first process, in every process; a UserError is raised in all of them.

    Only the first process makes the call. Use it for what reads and changes shared files: each process by itself would
    find what another has half removed.
    """
    if world_size() == 1:
        return decide()
    box: list[object] = [None, None]
    if rank() == 0:
        try:
            box[0] = decide()
        except UserError as error:
            box[1] = str(error)
    _broadcast(box)
    if box[1] is not None:
        raise UserError(str(box[1]))
    return cast(T, box[0])


def summed(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """Sums over all processes."""
    if world_size() == 1:
        return values
    import torch
    import torch.distributed as dist

    packed = torch.stack([value.double() for value in values.values()])
    dist.all_reduce(packed)
    return {name: value.float() for name, value in zip(values, packed, strict=True)}


def start_others(go: bool) -> None:
    """Called by the first process: tells the others, which wait in `started`, whether there is work for them. Later
    calls do nothing."""
    global _told
    if world_size() > 1 and not _told:
        _told = True
        _broadcast([go])


def started() -> bool:
    """Called by every other process: waits for `start_others` and returns its answer."""
    box: list[object] = [None]
    _broadcast(box)
    return bool(box[0])


_told = False


def _broadcast(box: list[object]) -> None:
    import torch.distributed as dist

    dist.broadcast_object_list(box)
