"""Answers of a server that means ill: each is a failed attempt that says what is wrong, and the next one counts."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest

from data_gen.engines.base import Request, Sampling
from data_gen.engines.openai import http_answers
from data_gen.engines.openai.engine import Dialogue, OpenAIEngine
from data_gen.engines.openai.http_transport import Transport
from data_gen.engines.openai.kinds import KINDS
from data_gen.errors import UserError
from tests.data_gen.engines.openai.fake_server import FakeServer, Reply, completion, letters, serving

GOOD = completion("a 1")
DEEP = b"[" * 200_000 + b"]" * 200_000
NO_DAY = "Mon, 45 Jan 99999 99:99:99 GMT"


def drawn(server: FakeServer, kind: Any = "transformers", attempts: int = 2) -> str:
    """The text of one continuation of at most 9 tokens."""
    transport = Transport(server.url, width=2, timeout=20.0, attempts=attempts, first_wait=0.01)
    dialogue = Dialogue(model="m", kind=KINDS[kind], ids=KINDS[kind].prompt == "ids")
    engine = OpenAIEngine(transport, dialogue, letters(), end_ids={1})

    async def one() -> str:
        try:
            [sample] = await engine.generate(Request(prefix=(3,), sampling=Sampling(max_tokens=9), seeds=(0,)))
            return str(letters().decode(sample.token_ids, skip_special_tokens=True))
        finally:
            await engine.aclose()

    return asyncio.run(one())


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(body=b" " * 3_000_000), "status 200 with an answer of more than 2 MiB"),
        (
            Reply(body=gzip.compress(b" " * 10**8), headers={"Content-Encoding": "gzip"}),
            "status 200 with an answer of more than 2 MiB",
        ),
        (Reply(body=b"x" * 100, headers={"Content-Encoding": "gzip"}), "DecodingError"),
        (Reply(body=DEEP), "(nested too deeply)"),
        (Reply(body=json.dumps(GOOD).encode()[:-1] + b', "x": ' + DEEP + b"}"), "(nested too deeply)"),
        (Reply(body=json.dumps(GOOD).encode()[:-1] + b', "x": ' + b"9" * 5000 + b"}"), "malformed JSON"),
        (Reply(body=completion("a \ud83d")), "(half a surrogate pair)"),
        (Reply(body=DEEP, status=500), "status 500: [[["),
        (Reply(body={"error": {"message": "over\x1b]0;loaded", "code": 503}}), "with an error: over\ufffd]0;loaded"),
        (Reply(body={"error": {"message": "a \ud83d"}}, status=503), "status 503: "),
        (Reply(body=completion("a", token_ids=[-1, 5])), "token_ids is not a list of numbers from 0 to 2^31"),
        (Reply(body=completion("a", token_ids=[10**30])), "token_ids is not a list of numbers from 0 to 2^31"),
        (Reply(body=completion("a", token_ids=[3] * 10)), "10 tokens where 9 were asked for"),
        (
            Reply(body=completion("a", token_ids=[3, 100_000])),
            "token 100000, which the policy's tokenizer does not have",
        ),
        (Reply(body=completion("a" * 101)), "a text of 102 tokens where 9 were asked for"),
        (Reply(body=completion("a" * 11_000)), "a text of 11000 characters where 9 tokens were asked for"),
        (Reply(body=completion("a", stop_reason=["x"])), "stop_reason is a list"),
        (Reply(body=completion("a", logprobs={"token_logprobs": [float("nan")]})), "is not a finite number"),
        (Reply(body=completion("a", logprobs={"token_logprobs": [10**400]})), "is not a finite number"),
        *(
            (Reply(status=429, body={"error": "slow"}, headers={"Retry-After": asked}), "status 429: slow")
            for asked in ("inf", "nan", "-5", NO_DAY, "Mon, 01 Jan 99999 00:00:00 GMT", "1e999", "soon")
        ),
    ],
)
def test_is_one_failed_attempt(monkeypatch: pytest.MonkeyPatch, reply: Reply, message: str) -> None:
    monkeypatch.setattr(http_answers, "ANSWER_BYTES", 2 * 2**20)
    with serving(lambda k, _: reply if k % 2 == 0 else Reply(body=GOOD)) as server:
        assert drawn(server) == "a 1"
        with pytest.raises(UserError) as caught:
            drawn(server, attempts=1)
    assert message in str(caught.value)
    str(caught.value).encode()


def test_a_compressed_answer_is_read() -> None:
    body = gzip.compress(json.dumps(completion("a 2", x="\U0001f600")).encode())
    with serving(lambda k, _: Reply(body=body, headers={"Content-Encoding": "gzip"})) as server:
        assert drawn(server) == "a 2"


def test_counts_that_cannot_be_are_not_believed() -> None:
    usage = {"prompt_tokens": -5, "completion_tokens": 10**40}
    with serving(lambda k, _: Reply(body=completion("a 3", usage=usage))) as server:
        assert drawn(server) == "a 3"
