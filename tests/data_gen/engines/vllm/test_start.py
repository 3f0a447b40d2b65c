"""Starting and ending vLLM: what it leaves behind, which failures say what, memory, tensor parallelism. Needs vLLM."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import psutil
import pytest
import torch

from data_gen.engines.base import Request
from data_gen.engines.config import VllmConfig
from data_gen.engines.vllm import start as vllm_start
from data_gen.engines.vllm.engine import VllmEngine
from data_gen.errors import UserError
from tests.data_gen.engines import tiny
from tests.data_gen.engines.tiny import VOCAB, ask, request
from tests.data_gen.engines.vllm import tiny as vllm_tiny

pytestmark = pytest.mark.vllm
SMALL = VllmConfig(kv_cache_gib=0.1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return vllm_tiny.save(tmp_path_factory.mktemp("model"))


def _requests(count: int, **sampling: object) -> list[Request]:
    rng = random.Random(3)
    return [request(tuple(rng.choices(range(VOCAB), k=rng.randint(1, 90))), (i,), **sampling) for i in range(count)]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the engine keeps its log, its sockets and its processes' meeting point."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(
        vllm_start, "TemporaryDirectory", partial(tempfile.TemporaryDirectory, dir=tmp_path / "temporary")
    )
    return tmp_path / "temporary"


def test_seeds_variables_and_threads_are_left_alone_and_little_memory_changes_no_result(
    folder: Path, temporary: Path
) -> None:
    requests = _requests(60, max_tokens=90)
    torch.manual_seed(5)
    random.seed(5)
    before = torch.get_rng_state(), random.getstate(), dict(os.environ), torch.get_num_threads(), torch.set_num_threads
    with VllmEngine(folder, end_ids=(), config=SMALL) as wide:
        now = torch.get_rng_state(), random.getstate(), dict(os.environ), torch.get_num_threads(), torch.set_num_threads
        assert torch.equal(now[0], before[0])
        assert now[1:] == before[1:]
        assert {"vllm.log", "logging.json"} < {path.name for path in temporary.rglob("*")} and list(
            temporary.rglob("vllm_dist_*")
        )
        with pytest.raises(UserError, match="runs a vLLM already"):
            VllmEngine(folder, end_ids=(), config=SMALL)
        answers = ask(wide, *requests)
    # some 40 blocks of 32 tokens: rows start over
    with VllmEngine(folder, end_ids=(), config=VllmConfig(kv_cache_gib=0.001)) as narrow:
        again = ask(narrow, *requests)
    same = [a.token_ids == b.token_ids for [a], [b] in zip(answers, again, strict=True)]
    assert sum(same) >= 0.9 * len(same)
    with pytest.raises(RuntimeError, match="closed"):
        ask(wide, requests[0])
    assert list(temporary.iterdir()) == []


def test_failed_starts_say_why_with_the_last_lines_of_the_log_and_leave_room_for_the_next(
    folder: Path, tmp_path: Path, temporary: Path
) -> None:
    before = set(psutil.Process().children(recursive=True))  # what other tests of this process keep, as a pool of ours
    with pytest.raises(UserError, match=r"(?s)does not start.*KV cache memory.*last lines:.*Starting to load model"):
        VllmEngine(folder, end_ids=(), config=VllmConfig(kv_cache_gib=0.0001))
    with pytest.raises(UserError, match=r"(?s)does not start.*head_dim=8.*last lines:"):  # fails in the first forward
        VllmEngine(vllm_tiny.save(tmp_path / "heads", tiny.model()), end_ids=(), config=SMALL)
    vllm_tiny.save(tmp_path / "torn")
    (tmp_path / "torn" / "model.safetensors").unlink()
    with pytest.raises(UserError, match="does not start on the model in"):
        VllmEngine(tmp_path / "torn", end_ids=(), config=SMALL)
    with pytest.raises(UserError, match=r"no_such_setting"):
        VllmEngine(folder, end_ids=(), config=VllmConfig(args={"no_such_setting": 1}))
    ours = set(_children())
    started = set(psutil.Process().children(recursive=True)) - before
    _, left = psutil.wait_procs([process for process in started if process.pid in ours], timeout=10)
    assert left == [] and list(temporary.iterdir()) == []
    with VllmEngine(folder, end_ids=(), config=SMALL) as engine:
        [[sample]] = ask(engine, request((2, 3), temperature=0))
    [[wanted]] = ask(vllm_tiny.transformers_engine(), request((2, 3), temperature=0))
    assert sample.token_ids == wanted.token_ids


PARALLEL = """
import getpass, json, os, signal, sys, tempfile
from pathlib import Path
from data_gen.engines.config import VllmConfig
from data_gen.engines.vllm.engine import VllmEngine
from tests.data_gen.engines.vllm.test_start import _children, _requests
from tests.data_gen.engines.tiny import ask

if __name__ == "__main__":
    places = ("/dev/shm", tempfile.gettempdir())
    (Path(tempfile.gettempdir()) / f"torchinductor_{getpass.getuser()}").mkdir()  # torch's own cache, which stays
    before = [set(os.listdir(place)) for place in places]
    engine = VllmEngine(Path(sys.argv[1]), end_ids=(), config=VllmConfig(kv_cache_gib=0.1, tensor_parallel=2))
    workers = _children()
    ids = [samples[0].token_ids for samples in ask(engine, *_requests(20, temperature=0))]
    print(json.dumps({"workers": workers, "ids": ids}), flush=True)
    if sys.argv[2] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    engine.close()
    files = [n for p, b in zip(places, before) for n in set(os.listdir(p)) - b]
    print(json.dumps({"left": _children(), "files": files}), flush=True)
"""


@pytest.mark.parametrize("end", ["close", "die"])
def test_tensor_parallel_gives_the_same_ids_and_its_workers_end_with_it(folder: Path, tmp_path: Path, end: str) -> None:
    script = tmp_path / "parallel.py"
    script.write_text(PARALLEL)
    run = subprocess.run(
        [sys.executable, script, folder, end],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)},
    )
    first, *rest = map(json.loads, run.stdout.splitlines())
    assert len(first["workers"]) == 2
    requests = _requests(20, temperature=0)
    assert [tuple(ids) for ids in first["ids"]] == [
        s[0].token_ids for s in ask(vllm_tiny.transformers_engine(), *requests)
    ]
    if end == "close":
        assert run.returncode == 0
        assert rest == [{"left": [], "files": []}]
    deadline = time.monotonic() + 60
    while any(psutil.pid_exists(pid) for pid in first["workers"]):
        assert time.monotonic() < deadline, "a worker outlives its parent"
        time.sleep(0.2)


def _children() -> list[int]:
    """Processes below this one; Python's own resource tracker ends with its parent."""
    below = psutil.Process().children(recursive=True)
    return [process.pid for process in below if "resource_tracker" not in " ".join(process.cmdline())]
