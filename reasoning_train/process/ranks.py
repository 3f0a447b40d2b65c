"""The processes of one torchrun, as far as stages need to know: which one this is, how many there are, and waiting for
each other."""

from __future__ import annotations

import atexit
import os
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from torch import Tensor


def rank() -> int:
    """This process's number; 0 where it was started alone."""
    return int(os.environ.get("RANK", "0")) if world_size() > 1 else 0


def world_size() -> int:
    """Processes that train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def launched() -> bool:
    """Whether a launcher of several processes (torchrun, `deepspeed`, `accelerate launch`) started this one."""
    return _LAUNCHED


_LAUNCHED = "RANK" in os.environ


def forget() -> None:
    """From here on this process is alone: nothing that it starts or imports sees the others."""
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT"):
        os.environ.pop(name, None)


def own_devices(local_rank: int, each: int) -> None:
    """Leave this process `each` GPUs of its own among those of its node, or all where it needs none; before torch is
    imported."""
    if not each:
        return
    first = local_rank * each
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = visible.split(",") if visible else [str(i) for i in range(first + each)]
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(devices[first : first + each])


def any_of(flag: bool) -> bool:
    """Whether the flag is set on any process: all of them hear the same."""
    if world_size() == 1:
        return flag
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    return bool(summed({"flag": torch.tensor(float(flag), device=device)})["flag"] > 0)


def join() -> None:
    """Meet the others: NCCL where there is a GPU, else gloo. Does nothing where the process is alone or has met
    them."""
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
    """End a process that trained with others: what is registered to run at exit runs, then it is gone.

    Now and then such a process dies of SIGABRT while the interpreter shuts down, its work done ("terminate called
    without an active exception"): probably of a thread that still holds a tensor of the last collective. So the
    interpreter is not shut down.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def barrier() -> None:
    """Wait until every process is here."""
    if world_size() > 1:
        import torch.distributed as dist

        dist.barrier()


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
    """The first process tells the others, who wait in `started`, whether there is work that needs them; once."""
    global _told
    if world_size() > 1 and not _told:
        _told = True
        _broadcast([go])


def started() -> bool:
    """Whether there is work for a process that is not the first."""
    box: list[object] = [None]
    _broadcast(box)
    return bool(box[0])


_told = False


def _broadcast(box: list[object]) -> None:
    import torch.distributed as dist

    dist.broadcast_object_list(box)
