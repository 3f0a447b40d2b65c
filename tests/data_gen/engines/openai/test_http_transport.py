"""The transport against a server that misbehaves: what is sent again, when, how often, and what the user is told."""

from __future__ import annotations

import asyncio
import base64
import email.utils
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest

from data_gen.engines.openai.api_key import ApiKey
from data_gen.engines.openai.http_answers import Malformed
from data_gen.engines.openai.http_transport import Transport
from data_gen.errors import UserError
from tests.data_gen.engines.openai.fake_server import FakeServer, Reply, Seen, serving

OK = Reply(body={"text": "fine"})
KEY = "sk-3141592653589793"


def transport(server: FakeServer, **options: Any) -> Transport:
    return Transport(server.url, **{"width": 8, "timeout": 5.0, "attempts": 4, "first_wait": 0.02, **options})


def post(sender: Transport, n: int = 1, read: Callable[[Any], Any] = lambda answer: answer["text"]) -> list[Any]:
    """n requests at once; their results in order."""

    async def all_of_them() -> list[Any]:
        try:
            return list(
                await asyncio.gather(*(sender.request("POST", "/completions", {"k": k}, read) for k in range(n)))
            )
        finally:
            await sender.aclose()

    return asyncio.run(all_of_them())


def first(*replies: Reply) -> Callable[[int, Seen], Reply]:
    """These replies, then `OK`."""
    return lambda k, _: replies[k] if k < len(replies) else OK


@pytest.mark.parametrize(
    "trouble",
    [
        Reply(status=429, body={}),
        Reply(status=408, body={}),
        Reply(status=500, body=b"<html>Internal Server Error</html>"),
        Reply(status=503, body={"error": "loading"}),
        Reply(body=OK.body, delay=1.0),
        Reply(body=OK.body, cut=5),
        Reply(body=OK.body, cut=-1),
        Reply(body=b'{"text": "fi'),
        Reply(body=b"\xff\xfe"),
    ],
    ids=["429", "408", "500", "503", "hangs", "cut in the body", "cut before the answer", "half a JSON", "no text"],
)
def test_passing_trouble_is_met_by_asking_again(trouble: Reply) -> None:
    with serving(first(trouble, trouble)) as server:
        sender = transport(server, timeout=0.3)
        assert post(sender) == ["fine"]
        assert (len(server.seen), sender.retries) == (3, 2)
    assert all(request.body == {"k": 0} for request in server.seen)


@pytest.mark.parametrize(
    ("trouble", "last"),
    [
        (Reply(status=500, body={"error": {"message": "out of memory"}}), "status 500: out of memory"),
        (Reply(status=429, body={"error": "slow down"}), "status 429: slow down"),
        (Reply(body=OK.body, delay=9.0), "no answer within 0.2 s"),
        (Reply(body=OK.body, cut=5), "RemoteProtocolError"),
        (Reply(body=b"[1, 2"), "status 200 with malformed JSON: '[1, 2'"),
    ],
)
def test_lasting_trouble_ends_with_what_to_do(trouble: Reply, last: str) -> None:
    with serving(lambda k, _: trouble) as server, pytest.raises(UserError) as caught:
        post(transport(server, timeout=0.2, attempts=3))
    message = str(caught.value)
    assert f"{server.url}/completions failed 3 times; the last time: {last}" in message
    assert "Finished problems are kept" in message and "run the same command to go on" in message
    assert len(server.seen) == 3


def test_a_server_that_is_not_there_is_named() -> None:
    with serving(first()) as server:
        pass
    with pytest.raises(UserError, match=rf"{server.url}/completions failed 2 times; the last time: ConnectError"):
        post(transport(server, attempts=2))


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, {"error": {"message": "max_tokens is too large"}}, "status 400: max_tokens is too large"),
        (422, {"detail": "Unexpected fields"}, "status 422: Unexpected fields"),
        (400, {"object": "error", "message": "bad"}, "status 400: bad"),
        (404, b"not here", "status 404: not here Does engine.base_url end where the API begins"),
        (401, b"", r"status 401: \(no message\) Name the variable with the key in engine.api_key_env"),
        (307, b"", "status 307"),
    ],
)
def test_a_refusal_is_not_repeated_and_shows_the_servers_words(status: int, body: Any, said: str) -> None:
    with serving(lambda k, _: Reply(status=status, body=body)) as server, pytest.raises(UserError, match=said):
        post(transport(server))
    assert len(server.seen) == 1


def test_retry_after_holds_everybody_back() -> None:
    with serving(first(Reply(status=429, body={}, headers={"Retry-After": "0.6"}))) as server:
        sender = transport(server, width=1)
        assert post(sender, 3) == ["fine"] * 3
    begins = [request.at - server.seen[0].at for request in server.seen]
    assert len(begins) == 4 and all(at >= 0.6 for at in begins[1:])


def test_retry_after_may_be_a_date_and_may_be_too_long() -> None:
    soon = email.utils.formatdate(time.time() + 2, usegmt=True)
    with serving(first(Reply(status=503, body={}, headers={"Retry-After": soon}))) as server:
        assert post(transport(server)) == ["fine"]
    assert server.seen[1].at - server.seen[0].at >= 0.9  # dates have whole seconds
    with (
        serving(first(Reply(status=429, body={}, headers={"Retry-After": "86400"}))) as server,
        pytest.raises(UserError, match="failed 1 times; .* it asks to wait 86400 s"),
    ):
        post(transport(server))


def test_at_most_width_requests_are_under_way() -> None:
    with serving(lambda k, _: Reply(body=OK.body, delay=0.02)) as server:
        assert post(transport(server, width=3), 20) == ["fine"] * 20
    assert server.busiest == 3


def test_results_keep_the_order_of_the_requests() -> None:
    with serving(lambda k, seen: Reply(body=seen.body, delay=0.1 - 0.01 * seen.body["k"])) as server:
        assert post(transport(server, width=10), 10, lambda answer: answer["k"]) == list(range(10))


def test_an_answer_that_does_not_fit_is_asked_for_again() -> None:
    def read(answer: Any) -> str:
        if "text" not in answer:
            raise Malformed("no text")
        return answer["text"]

    with serving(first(Reply(body={}))) as server:
        assert post(transport(server), read=read) == ["fine"]
    with (
        serving(lambda k, _: Reply(body={})) as server,
        pytest.raises(UserError, match="an answer that does not fit: no text"),
    ):
        post(transport(server, attempts=2), read=read)


def test_it_serves_one_event_loop_after_another() -> None:
    with serving(lambda k, _: Reply(body=OK.body, delay=0.01)) as server:
        sender = transport(server, width=2)
        assert [post(sender, 6) for _ in range(3)] == [["fine"] * 6] * 3


def test_waits_grow_and_are_jittered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The drawn waits lie in [0, first * 2^(k-1)] and are not all alike."""
    slept: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", note)
    with serving(lambda k, _: Reply(status=500, body={})) as server, pytest.raises(UserError):
        post(transport(server, attempts=11, first_wait=4.0))
    assert len(slept) == 10
    assert all(0 <= wait <= min(60.0, 4.0 * 2**k) for k, wait in enumerate(slept))
    assert max(slept) > 4.0 and len(set(slept)) == 10


def test_the_key_is_sent_and_shown_nowhere(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("SOME_KEY", f" {KEY}\n")
    caplog.set_level(logging.DEBUG)
    key = ApiKey("SOME_KEY")
    with serving(
        first(Reply(status=500, body={"error": f"bad key {KEY}"}), OK, Reply(status=401, body={"error": KEY}))
    ) as server:
        sender = transport(server, key=key)
        assert post(sender) == ["fine"]
        with pytest.raises(
            UserError, match=r"status 401: \[key\] The key comes from the variable SOME_KEY."
        ) as refused:
            post(sender)
    assert all(request.headers["Authorization"] == f"Bearer {KEY}" for request in server.seen)
    with (
        serving(lambda k, _: Reply(body=f"{KEY} is no JSON".encode())) as server,
        pytest.raises(UserError) as exhausted,
    ):
        post(transport(server, key=key, attempts=2))
    across = b"-" * (100 - len(KEY) // 2) + KEY.encode()  # messages quote the first 100 characters
    with serving(lambda k, _: Reply(body=across)) as server, pytest.raises(UserError) as quoted:
        post(transport(server, key=key, attempts=1))
    assert KEY[: len(KEY) // 2] not in str(quoted.value) and "[key]" in str(quoted.value)

    async def client() -> str:
        return repr(sender._open()) + repr(sender._open().headers)

    texts = [
        repr(key),
        str(key),
        repr(sender),
        asyncio.run(client()),
        repr(refused.value),
        str(exhausted.value),
        caplog.text,
    ]
    assert not any(KEY in text for text in texts)
    assert (
        refused.value.__cause__ is None and exhausted.value.__context__ is None
    ) or exhausted.value.__suppress_context__


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (f"key {KEY[:-2]}**", "key [key]**"),
        (f"key {KEY[:9]}-{KEY[9:]}", "key [key]-[key]"),
        (f"in base64 {base64.b64encode(KEY.encode()).decode()}", "in base64 [key]=="),
        (f"{KEY[:3]}...{KEY[-4:]}", "sk-...9793"),  # so little of it does not help anybody
        ("no key here, 1415", "no key here, 1415"),
        (f"{KEY}{KEY}", "[key][key]"),
    ],
)
def test_a_key_quoted_in_part_or_in_base64_is_not_shown(said: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    assert ApiKey("SOME_KEY").clean(said) == shown


@pytest.mark.parametrize("value", ["", "   ", "sk-\x07bell", "sk-ключ"])
def test_a_key_that_cannot_be_used_is_refused_without_showing_it(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", value)
    with pytest.raises(UserError, match="SOME_KEY") as caught:
        ApiKey("SOME_KEY")
    assert not value.strip() or value.strip() not in str(caught.value)
