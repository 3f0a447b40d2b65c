"""A model server for tests of starting and stopping: `python -m tests.data_gen.engines.openai.stub_server PORT [what it
does wrong ...]`.

It answers /health, and /v1/completions with the prompt backwards; a prompt "die" kills it, "fail" fails, "hang" never
answers.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from http.server import ThreadingHTTPServer

from tests.data_gen.engines.openai.fake_server import FakeServer, Reply, Seen, completion


def answer(k: int, seen: Seen) -> Reply:
    """Healthy; completes backwards; dies when told."""
    if seen.path == "/health":
        return Reply(body="ok")
    prompt = seen.body["prompt"]
    if prompt == "die":
        print("dying as told", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    if prompt == "fail":
        print("no idea how", flush=True)
        return Reply(status=500, body={})
    return Reply(body=completion(prompt[::-1], finish="length"), delay=1e6 if prompt == "hang" else 0.005)


class Stub(FakeServer):
    """On a given port."""

    def __init__(self, port: int) -> None:
        super().__init__(answer)
        self.server_close()
        ThreadingHTTPServer.__init__(self, ("127.0.0.1", port), self.RequestHandlerClass)


def main(port: int, wrong: list[str]) -> None:
    """Serve for ever, wrongly."""
    if "deaf" in wrong:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "child" in wrong:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
        print(f"child {child.pid}", flush=True)
    if "broken" in wrong:
        for line in range(30):
            print(f"line {line}", flush=True)
        sys.exit(3)
    if "silent" in wrong:
        time.sleep(1000)
    print(f"serving as {os.getpid()}", flush=True)
    server = Stub(port)
    if "brief" in wrong:
        threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
    server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
