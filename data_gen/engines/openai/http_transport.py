"""JSON requests to a server that may refuse, stall or die: bounded concurrency, and retries with backoff.

A request is sent again after 429, 408, any 5xx, a timeout, a cut connection and an unreadable answer. The wait before
the k-th repetition is uniform in 0 to 2^(k-1) seconds, at most a minute ("full jitter"), so that clients that failed
together do not return together.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import httpx2

from data_gen.engines.openai.api_key import ApiKey
from data_gen.engines.openai.http_answers import Failed, read_answer, read_whole, shown
from data_gen.errors import UserError

T = TypeVar("T")
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
PATIENCE_S = 600.0
"""Longest `Retry-After` that is honoured. If a server asks for more, it is better to retry later."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class OwnServer(Protocol):
    """A server that this process runs (server.py)."""

    url: str

    def dead(self) -> bool:
        """Whether it has ended."""

    def revive(self) -> None:
        """Start it again and wait until it is ready. UserError with its last lines if it may not be started again."""

    def last_lines(self) -> str:
        """The end of its output."""

    def give_up(self) -> None:
        """Abort a `revive` that is running in another thread and is no longer needed."""


class Transport:
    """Sends JSON to `base_url`: at most `width` requests at once, each at most `attempts` times within `timeout`
    seconds.

    >>> transport = Transport("http://127.0.0.1:8000/v1", width=8, timeout=60, attempts=4)    # doctest: +SKIP
    >>> await transport.request("POST", "/completions", {"prompt": [1, 2]},
    ...     lambda answer: answer["choices"])  # doctest: +SKIP
    """

    def __init__(
        self,
        base_url: str,
        *,
        width: int,
        timeout: float,
        attempts: int,
        key: ApiKey | None = None,
        server: OwnServer | None = None,
        first_wait: float = FIRST_WAIT_S,
    ) -> None:
        self._base_url, self._width, self._timeout, self._attempts = base_url, width, timeout, attempts
        self._key, self._server, self._first_wait = key or ApiKey(None), server, first_wait
        self._random = random.Random()  # its own generator: the process's generators belong to the stage's seed
        self._client: httpx2.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._slots = asyncio.Semaphore(width)
        self._resume_at = 0.0
        self.retries = self.abandoned = 0
        """Number of repeated requests, and of attempts that the server may have continued after they were abandoned."""

    @property
    def url(self) -> str:
        """The current base URL. It changes when a server of our own is restarted."""
        return self._server.url if self._server else self._base_url

    async def request(self, method: str, path: str, body: Any, read: Callable[[Any], T]) -> T:
        """`read` of the answer's JSON; `read` raises Malformed if it does not fit. UserError if the server refuses the
        request or the last attempt failed."""
        client, attempt = self._open(), 0
        async with self._slots:
            while True:
                await self._ready()
                url = self.url
                try:
                    response = await self._within_time(_fetched(client, method, url + path, body))
                    return read_answer(response, read, self._key)
                except Failed as failure:
                    if await self._died(url, failure):
                        continue  # not the request's fault; the server counts its own deaths
                    attempt += 1
                    if attempt == self._attempts or failure.wait > PATIENCE_S:
                        raise self._exhausted(path, attempt, failure) from None
                    await self._pause(attempt, failure.wait)

    async def aclose(self) -> None:
        """Close the connections. The next request opens new ones in the event loop of that time."""
        if self._server is not None:
            self._server.give_up()
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _within_time(self, call: Coroutine[Any, Any, httpx2.Response]) -> httpx2.Response:
        """One attempt. The limit applies to the whole answer: a server that sends single bytes is as stuck as a silent
        one."""
        try:
            async with asyncio.timeout(self._timeout):
                return await self._while_alive(call)
        except TimeoutError:
            what = f"no answer within {self._timeout:g} s"
        except httpx2.RequestError as error:
            what = shown(f"{type(error).__name__}: {error}".rstrip(": ."), self._key)
        self.abandoned += 1
        raise Failed(what, cut=True)

    async def _while_alive(self, call: Coroutine[Any, Any, httpx2.Response]) -> httpx2.Response:
        """The answer, unless our own server dies first. A child process of the server may hold the connection open
        forever."""
        task = asyncio.create_task(call)
        try:
            while self._server is not None and not task.done():
                await asyncio.wait({task}, timeout=0.25)
                if not task.done() and self._server.dead():
                    raise Failed("the server died", cut=True)
            return await task
        finally:
            task.cancel()

    async def _died(self, url: str, failure: Failed) -> bool:
        """Whether our own server, at `url` when the request was sent, died during the request. It may have been
        restarted since. Connections to a killed server end slightly before the system reports its death."""
        if self._server is None or not failure.cut:
            return False
        for _ in range(20):
            if self._server.dead() or self.url != url:
                return True
            await asyncio.sleep(0.05)
        return False

    async def _ready(self) -> None:
        """Wait until the server accepts requests again. Restart our own server if it has died."""
        while (wait := self._resume_at - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        if self._server is not None and self._server.dead():
            await asyncio.to_thread(self._server.revive)

    async def _pause(self, attempt: int, asked: float) -> None:
        self.retries += 1
        if asked:  # the others would be refused as well
            self._resume_at = max(self._resume_at, time.monotonic() + asked)
        await asyncio.sleep(asked + self._random.uniform(0, min(LONGEST_WAIT_S, self._first_wait * 2 ** (attempt - 1))))

    def _open(self) -> httpx2.AsyncClient:
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._loop = loop  # connections of a loop that has ended cannot even be closed
            self._slots, self._resume_at = asyncio.Semaphore(self._width), 0.0
            limits = httpx2.Limits(max_connections=self._width, max_keepalive_connections=self._width)
            url = urlsplit(self.url)
            # Proxies of the environment cannot reach the loopback. Loading the certificates takes longer than many
            # requests.
            options: dict[str, Any] = {
                "trust_env": url.hostname not in _LOOPBACK,
                "verify": url.scheme == "https",
                "timeout": None,
            }
            self._client = httpx2.AsyncClient(headers=self._key.headers, limits=limits, **options)
        return self._client

    def _exhausted(self, path: str, attempts: int, failure: Failed) -> UserError:
        asks = f"; it asks to wait {failure.wait:g} s" if failure.wait > PATIENCE_S else ""
        lines = f"\n{self._server.last_lines()}" if self._server else ""
        return UserError(
            f"{self.url}{path} failed {attempts} times; the last time: {failure}{asks}. Finished problems are kept: "
            "see to the server (or lower engine.concurrency, raise engine.timeout or engine.attempts) and run the same "
            f"command to go on.{lines}"
        )


async def _fetched(client: httpx2.AsyncClient, method: str, url: str, body: Any) -> httpx2.Response:
    """One answer, read as far as it may go."""
    async with client.stream(method, url, json=body) as response:
        return await read_whole(response)
