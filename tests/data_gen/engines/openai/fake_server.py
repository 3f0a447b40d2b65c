"""An HTTP server on loopback that does what a script says: answers, refuses, stalls, cuts connections, dies."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the server does with one request."""

    body: Any = None
    """JSON, or the bytes themselves."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: int | None = None
    """Close the connection after so many bytes of the body; -1: before the status line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request as it arrived."""

    at: float
    path: str
    body: Any
    headers: dict[str, str]


class FakeServer(ThreadingHTTPServer):
    """Answers the k-th request (from 0) with `script(k, request)`."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, script: Callable[[int, Seen], Reply]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script, self.seen = script, list[Seen]()
        self.lock, self.over = threading.Lock(), threading.Event()
        self.busy = self.busiest = 0
        """Requests under way, and the most there ever were."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is part of the play."""


class _Handler(BaseHTTPRequestHandler):
    server: FakeServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "null")
        with self.server.lock:
            request = Seen(at=time.monotonic(), path=self.path, body=body, headers=dict(self.headers))
            number = len(self.server.seen)
            self.server.seen.append(request)
            self.server.busy += 1
            self.server.busiest = max(self.server.busiest, self.server.busy)
        try:
            self._reply(self.server.script(number, request))
        finally:
            with self.server.lock:
                self.server.busy -= 1

    do_GET = do_POST

    def _reply(self, reply: Reply) -> None:
        self.server.over.wait(reply.delay)
        if reply.cut == -1:
            self.close_connection = True
            return
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **reply.headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: reply.cut])
        self.close_connection |= reply.cut is not None

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


@contextmanager
def serving(script: Callable[[int, Seen], Reply]) -> Iterator[FakeServer]:
    """A running server."""
    server = FakeServer(script)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()


def completion(*texts: str, finish: str = "stop", usage: Any = None, **more: Any) -> dict[str, Any]:
    """An answer of the completions endpoint, one choice a text; `more` goes into every choice."""
    choices = [{"index": i, "text": text, "finish_reason": finish, **more} for i, text in enumerate(texts)]
    return {"choices": choices} | ({"usage": usage} if usage is not None else {})


CHARACTERS = "<s></s> abcdefghijklmnopqrstuvwxyz0123456789.\n"


@cache
def letters(bos: bool = False) -> Any:
    """A tokenizer with one token a character; `<s>`, put in front where `bos`, is 0 and `</s>` is 1."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    texts = ["<s>", "</s>", *dict.fromkeys(CHARACTERS[7:]), "ab"]
    core = Tokenizer(models.WordLevel({text: i for i, text in enumerate(texts)}, unk_token="<s>"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex("(?m)."), "isolated")
    core.decoder = decoders.Fuse()
    if bos:
        core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", clean_up_tokenization_spaces=False
    )


def ids_of(text: str) -> tuple[int, ...]:
    """The ids of `letters()`."""
    return tuple(letters()(text, add_special_tokens=False)["input_ids"])
