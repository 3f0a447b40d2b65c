"""Limits vLLM's effects on its process, and handles its log and what its workers leave behind."""

from __future__ import annotations

import json
import logging
import os
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from uuid import uuid4

SOCKET_FOLDER = 65
"""Longest path of a folder for vLLM's sockets. With their names it must stay below 108 characters."""


@contextmanager
def contained(folder: Path) -> Iterator[None]:
    """Sets vLLM's environment, with `folder` for its log and sockets, and undoes its changes to the process: seeds,
    variables, threads."""
    import numpy as np
    import torch

    variables, states = dict(os.environ), (random.getstate(), np.random.get_state(), torch.get_rng_state())
    set_threads, threads = torch.set_num_threads, torch.get_num_threads()
    os.environ |= {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # a fork can hang if threads of the process have been running
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_CONFIG_PATH": str(_log_settings(folder)),
        "VLLM_RPC_BASE_PATH": str(folder) if len(str(folder)) < SOCKET_FOLDER else "/tmp",
        "OMP_NUM_THREADS": str(threads),
    }
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")  # this process's threads are not only vLLM's
    try:
        yield
    finally:
        for name in os.environ.keys() - variables.keys():
            del os.environ[name]
        os.environ |= variables
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        torch.set_num_threads = set_threads
        set_threads(threads)


def _log_settings(folder: Path) -> Path:
    """The file that makes vLLM and its workers log to `folder/vllm.log` and to stderr. vLLM reads it once per
    process."""
    log = str(folder / "vllm.log")
    for handler in logging.getLogger("vllm").handlers:
        if isinstance(handler, logging.FileHandler):  # of an earlier engine; it opens the new file by itself
            handler.close()
            handler.baseFilename = log
    handlers = {
        "file": {"class": "logging.FileHandler", "filename": log, "formatter": "plain"},
        "stderr": {"class": "logging.StreamHandler", "stream": "ext://sys.stderr", "formatter": "plain"},
    }
    settings = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"plain": {"format": "%(asctime)s vllm[%(process)d] %(levelname)s %(message)s"}},
        "handlers": handlers,
        "loggers": {"vllm": {"handlers": list(handlers), "level": "INFO", "propagate": False}},
    }
    path = folder / "logging.json"
    path.write_text(json.dumps(settings), encoding="utf-8")
    return path


def meet_in(folder: Path) -> None:
    """vLLM's processes find each other through a file that they leave behind. This puts it into `folder`."""
    from vllm.v1.executor import multiproc_executor, uniproc_executor

    for module in (multiproc_executor, uniproc_executor):
        module.get_file_store_init_method = lambda: f"file://{folder}/vllm_dist_{uuid4().hex}"


def shared_memory(workers: Iterable[BaseProcess]) -> set[Path]:
    """Files of vLLM's CPU workers under /dev/shm. The workers end without removing them."""
    import psutil

    paths: set[Path] = set()
    for worker in workers:
        with suppress(psutil.Error):
            maps = psutil.Process(worker.pid).memory_maps()
            paths |= {Path(region.path) for region in maps if region.path.startswith("/dev/shm/vllm_dist_")}
    return paths


def remove(files: Iterable[Path]) -> None:
    """Remove files, ignoring those that are already gone."""
    for file in files:
        file.unlink(missing_ok=True)
