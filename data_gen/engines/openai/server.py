"""A model server that a stage starts, watches and stops.

A guard process (server_guard.py) runs between the stage and the server, so that the server ends with the stage even if
the stage is killed. The server listens on a port of the loopback interface that was free just before. If another
process takes the port first, the next one is tried. Output goes to a file, whose last lines explain a failure.
"""

from __future__ import annotations

import os
import random
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from data_gen.errors import UserError

PORTS = range(20_000, 32_000)
"""Below the range of ephemeral ports, so that no outgoing connection occupies one."""
PORT_TRIES = 5
STOP_S = 20.0
"""Longest time that a guard takes to end its server, in seconds."""
LAST_LINES = 20
_GUARD = Path(__file__).with_name("server_guard.py")


class ModelServer:
    """Runs `command(port)`, an argument list, for the duration of the `with` block. The server must answer GET /health
    at `http://127.0.0.1:port` with 200.

    If it dies while in use, it is restarted up to `restarts` times. `env` is added to this process's environment.
    UserError, with the server's last lines, if it does not start within `start_timeout` seconds.

    >>> with ModelServer(lambda port: ["vllm", "serve", "model", "--port", str(port)],
    ...     log=folder / "server.log") as server:  # doctest: +SKIP
    ...     print(server.url)
    http://127.0.0.1:20417/v1
    """

    def __init__(
        self,
        command: Callable[[int], Sequence[str]],
        *,
        log: Path,
        start_timeout: float = 900.0,
        restarts: int = 1,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._command, self._log, self._start_timeout, self._restarts = command, log, start_timeout, restarts
        self._env = {**os.environ, **(env or {})}
        self._guard: subprocess.Popen[bytes] | None = None
        self._lock, self._given_up = threading.Lock(), threading.Event()
        self.url = ""
        """URL of its API, up to and including `/v1`. It changes after a restart."""

    def __enter__(self) -> Self:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def dead(self) -> bool:
        """Whether it has ended."""
        return self._guard is None or self._guard.poll() is not None

    def revive(self) -> None:
        """Restart it if it is dead. UserError with its last lines if it has died too often. It may be called from many
        threads at once."""
        with self._lock:
            if not self.dead():
                return
            if self._restarts == 0:
                raise UserError(
                    "The server died again and is not started a third time. Finished problems are kept: fix "
                    f"what its last lines report and run the same command to go on.\n{self.last_lines()}"
                )
            self._restarts -= 1
            self._given_up.clear()
            print(f"the server died and is started again\n{self.last_lines()}", flush=True)
            self._start()

    def give_up(self) -> None:
        """Abort a start that another thread waits for."""
        self._given_up.set()

    def stop(self) -> None:
        """Tell it to end, wait, and kill it if needed. Does nothing if it is not running."""
        self._given_up.set()
        guard, self._guard = self._guard, None
        if guard is None:
            return
        assert guard.stdin is not None
        guard.stdin.close()
        try:
            guard.wait(STOP_S)
        except subprocess.TimeoutExpired:
            guard.kill()
            guard.wait()

    def _start(self) -> None:
        for _ in range(PORT_TRIES):
            port = free_port()
            self._spawn(port)
            if self._wait_until_healthy(port):
                self.url = f"http://127.0.0.1:{port}/v1"
                return
        raise UserError(
            f"No port of {PORTS.start} to {PORTS.stop} was free in {PORT_TRIES} tries.\n{self.last_lines()}"
        )

    def _spawn(self, port: int) -> None:
        command = list(self._command(port))
        with self._log.open("ab") as log:
            log.write(f"[{shlex.join(command)}]\n".encode())
            log.flush()
            self._guard = subprocess.Popen(
                [sys.executable, "-I", str(_GUARD), *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env,
                start_new_session=True,
            )

    def _wait_until_healthy(self, port: int) -> bool:
        """True once it answers. False if another process has the port. UserError if it ends or time is up."""
        end = time.monotonic() + self._start_timeout
        while not healthy(f"http://127.0.0.1:{port}"):
            if self.dead():
                if _taken(port):
                    return False
                raise UserError(f"The server ended before it answered.\n{self.last_lines()}")
            if time.monotonic() > end:
                raise UserError(
                    f"The server did not answer within engine.serve.start_timeout={self._start_timeout:g} s. Raise it "
                    f"for a large model.\n{self.last_lines()}"
                )
            if self._given_up.wait(0.2):
                raise UserError("The server was stopped while it started.")
        return self._owns(port)

    def _owns(self, port: int) -> bool:
        """Whether our own server answered, not a process that took the port first."""
        import psutil

        assert self._guard is not None
        try:
            ours = psutil.Process(self._guard.pid).children(recursive=True)
            listening = [
                c.laddr.port
                for process in ours
                for c in process.net_connections("tcp")
                if c.status == psutil.CONN_LISTEN
            ]
        except psutil.Error:
            return not self.dead()
        if port not in listening:
            self.stop()
            self._given_up.clear()
        return port in listening

    def last_lines(self) -> str:
        """The end of the log, and its path."""
        with self._log.open("rb") as log:
            log.seek(max(0, self._log.stat().st_size - 65_536))
            lines = log.read().decode("utf-8", "replace").splitlines()[-LAST_LINES:]
        return "\n".join([f"Its last lines ({self._log}):", *(f"  {line}" for line in lines)])


def free_port() -> int:
    """A port of the loopback interface on which nothing listens now."""
    chance = random.Random()  # not the process's generator, which belongs to the stage's seed
    while True:
        port = chance.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def healthy(address: str) -> bool:
    """Whether a server at `http://host:port` reports that it is healthy."""
    import httpx2

    try:
        answer = httpx2.get(f"{address}/health", timeout=2.0, trust_env=False, verify=address.startswith("https"))
        return answer.status_code == 200
    except httpx2.HTTPError:
        return False
