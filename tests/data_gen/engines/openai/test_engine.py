"""The engine over a scripted OpenAI-compatible server: what is sent, what becomes of the answers, and what is
refused."""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.engines.base import LM, Request, Sample, Sampling
from data_gen.engines.openai.choices import read_choices, read_usage
from data_gen.engines.openai.engine import Dialogue, OpenAIEngine
from data_gen.engines.openai.http_answers import Malformed
from data_gen.engines.openai.http_transport import Transport
from data_gen.engines.openai.kinds import KINDS
from data_gen.engines.programs import run_programs
from data_gen.errors import UserError
from tests.data_gen.engines.openai.fake_server import FakeServer, Reply, Seen, completion, ids_of, letters, serving

END = 1
AB = len(letters()) - 1
"""A token "ab" that the tokenizer never makes of a text."""


def engine(
    server: FakeServer, kind: Any = "vllm", *, tokenizer: Any = None, context: int | None = None, **options: Any
) -> OpenAIEngine:
    transport = Transport(server.url, width=16, timeout=5.0, attempts=3, first_wait=0.01)
    dialogue = Dialogue(**{"model": "m", "kind": KINDS[kind], "ids": KINDS[kind].prompt == "ids", **options})
    return OpenAIEngine(transport, dialogue, tokenizer or letters(), end_ids={END}, context=context)


def ask(
    engine: OpenAIEngine, prefix: Sequence[int], n: int = 1, prompt_length: int | None = None, **sampling: Any
) -> list[Sample]:
    request = Request(
        prefix=tuple(prefix),
        sampling=Sampling(**{"max_tokens": 9, **sampling}),
        seeds=tuple(k << 33 for k in range(n)),
        prompt_length=prompt_length,
    )
    return run(engine, engine.generate(request))


def run(engine: OpenAIEngine, call: Any) -> Any:
    async def closing() -> Any:
        try:
            return await call
        finally:
            await engine.aclose()

    return asyncio.run(closing())


def always(body: Any) -> Callable[[int, Seen], Reply]:
    return lambda k, _: Reply(body=body)


def test_vllm_gets_ids_and_gives_ids() -> None:
    usage = {"prompt_tokens": 2, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 1}}
    choices = [
        {
            "index": 1,
            "text": "b",
            "finish_reason": "length",
            "token_ids": [4, 4],
            "logprobs": {"token_logprobs": [-1.0, -2.0]},
        },
        {
            "index": 0,
            "text": "a",
            "finish_reason": "stop",
            "token_ids": [3, 9, END],
            "logprobs": {"token_logprobs": [-0.1, None, -0.3]},
        },
    ]
    with serving(always({"choices": choices, "usage": usage})) as server:
        sampler = engine(server, seeds=True)
        samples = ask(sampler, (7, 8), 2, temperature=0.7, top_p=0.9, stop=("\n",))
    # one log-prob is missing, so none is given
    assert samples[0] == Sample(token_ids=(3, 9, END), logprobs=(), finish="stop")
    assert samples[1] == Sample(token_ids=(4, 4), logprobs=(-1.0, -2.0), finish="length")
    [request] = server.seen
    expected = {
        "prompt": [7, 8],
        "n": 2,
        "max_tokens": 9,
        "temperature": 0.7,
        "top_p": 0.9,
        "stop": ["\n"],
        "seed": 0,
        "model": "m",
    }
    assert expected.items() <= request.body.items()
    assert {
        "top_k": 0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "stop_token_ids": [END],
        "return_token_ids": True,
    }.items() <= request.body.items()
    assert sampler.seeded
    spent = sampler.usage
    assert (spent.requests, spent.samples, spent.prompt_tokens, spent.cached_tokens, spent.generated_tokens) == (
        1,
        2,
        2,
        1,
        5,
    )


def test_without_usage_the_tokens_are_counted_here() -> None:
    with serving(always(completion("abc", "d"))) as server:
        sampler = engine(server, "openai")
        ask(sampler, ids_of("x."), 2)
    assert (sampler.usage.prompt_tokens, sampler.usage.generated_tokens) == (2, 6)  # with the two ends


def test_text_is_tokenised_once_and_ended() -> None:
    with serving(
        lambda k, seen: Reply(body=completion("ab 1", finish=["stop", "length", "content_filter"][k]))
    ) as server:
        sampler = engine(server, "openai")
        samples = [ask(sampler, ids_of("why"))[0] for _ in range(3)]
    assert [request.body["prompt"] for request in server.seen] == ["why"] * 3
    assert [sample.token_ids for sample in samples] == [(*ids_of("ab 1"), END), ids_of("ab 1"), ids_of("ab 1")]
    assert [sample.finish for sample in samples] == ["stop", "length", "length"]


def test_a_bos_that_the_servers_tokenizer_adds_is_not_sent() -> None:
    with serving(always(completion("b"))) as server:
        ask(engine(server, "openai", tokenizer=letters(bos=True)), (0, *ids_of("a")))
        assert server.seen[0].body["prompt"] == "a"
        with pytest.raises(
            UserError, match=r"The prompt 'a' has other ids when its text is tokenised again.*engine.prompt: ids"
        ):
            ask(engine(server, "openai", tokenizer=letters(bos=True)), ids_of("aa"))


def test_a_sampled_prefix_that_reads_otherwise_is_counted_a_prompt_is_refused() -> None:
    with serving(always(completion("b"))) as server:
        sampler = engine(server, "openai")
        ask(sampler, (*ids_of("x"), AB), prompt_length=1)
        assert (server.seen[0].body["prompt"], sampler.respelled) == ("xab", 1)
        ask(sampler, (*ids_of("x"), *ids_of("ab")), prompt_length=1)
        assert sampler.respelled == 1
        with pytest.raises(UserError, match="The prompt 'xab' has other ids"):
            ask(sampler, (*ids_of("x"), AB))


@pytest.mark.parametrize(
    ("kind", "more", "text", "expected"),
    [
        ("openai", {"stop_reason": "\n"}, "ab", "ab\n"),
        ("openai", {"stop_reason": None}, "ab", "ab</s>"),
        ("sglang", {"matched_stop": 1}, "ab", "ab</s>"),
        ("sglang", {"matched_stop": "\n"}, "ab\n", "ab\n"),
        ("transformers", {}, "ab\n", "ab\n"),
        ("transformers", {}, "ab", "ab</s>"),
        ("vllm", {"stop_reason": None}, "ab</s>", "ab</s>"),
    ],
)
def test_a_step_ends_with_its_delimiter_a_solution_with_its_end(
    kind: Any, more: Mapping[str, Any], text: str, expected: str
) -> None:
    with serving(always(completion(text, **more))) as server:
        [sample] = ask(engine(server, kind), ids_of("x"), stop=("\n",))
    assert sample.token_ids == ids_of(expected)


def test_a_server_that_does_not_say_what_stopped_it_cannot_search() -> None:
    with serving(always(completion("ab"))) as server, pytest.raises(UserError, match="steps cannot be told from ends"):
        ask(engine(server, "openai"), ids_of("x"), stop=("\n",))


def test_transformers_serve_gets_a_generation_config_for_it_decodes_greedily_otherwise() -> None:
    with serving(always(completion("a"))) as server:
        sampler = engine(server, "transformers", seeds=True)
        ask(sampler, ids_of("x"), temperature=0.5, top_p=0.8)
        ask(sampler, ids_of("x"), temperature=0.0)
        assert sampler.seeded
    drawn, greedy = (json.loads(request.body["generation_config"]) for request in server.seen)
    common = {"max_new_tokens": 9, "eos_token_id": [END], "pad_token_id": END}
    assert drawn == {"do_sample": True, "temperature": 0.5, "top_p": 0.8, "top_k": 0, **common}
    assert greedy == {"do_sample": False, **common}


def test_a_given_up_request_costs_transformers_serve_its_seeds() -> None:
    with serving(lambda k, _: Reply(body=completion("a"), cut=3 if k == 0 else None)) as server:
        sampler = engine(server, "transformers", seeds=True)
        ask(sampler, ids_of("x"))
        assert not sampler.seeded


@pytest.mark.parametrize(
    ("kind", "seeds", "seeded"), [("openai", True, False), ("vllm", False, False), ("llamacpp", True, False)]
)
def test_seeded_only_where_the_server_keeps_them(kind: Any, seeds: bool, seeded: bool) -> None:
    with serving(always(completion("a"))) as server:
        sampler = engine(server, kind, seeds=seeds)
        ask(sampler, ids_of("x"), 2)
    assert sampler.seeded is seeded
    assert all(("seed" in request.body) is seeds for request in server.seen)


@pytest.mark.parametrize(
    ("kind", "sampling", "asked"),
    [
        ("vllm", {"temperature": 0.5}, True),
        ("openai", {}, True),
        ("openai", {"temperature": 0.5}, False),
        ("openai", {"top_p": 0.5}, False),
        ("transformers", {}, False),
    ],
)
def test_log_probs_are_asked_for_only_where_they_are_the_models(
    kind: Any, sampling: dict[str, Any], asked: bool
) -> None:
    with serving(always(completion("a", logprobs={"token_logprobs": [-0.5, -0.25]}))) as server:
        [sample] = ask(engine(server, kind), ids_of("x"), **sampling)
    assert ("logprobs" in server.seen[0].body) is asked
    assert sample.logprobs == ((-0.5, -0.25))


def test_n_is_split_where_the_server_takes_less_and_made_up_where_it_gives_less() -> None:
    with serving(lambda k, seen: Reply(body=completion(*["a"] * min(2, seen.body.get("n", 1))))) as server:
        assert len(ask(engine(server, "openai", seeds=True), ids_of("x"), 5)) == 5
        asked = [(request.body.get("n", 1), request.body["seed"]) for request in server.seen]
        assert asked == [(5, 0), (3, 2), (1, 4)]
        server.seen.clear()
        assert len(ask(engine(server, "openai", max_n=2), ids_of("x"), 5)) == 5
        assert sorted(request.body.get("n", 1) for request in server.seen) == [1, 2, 2]
        server.seen.clear()
        assert len(ask(engine(server, "transformers"), ids_of("x"), 3)) == 3
        assert ["n" in request.body for request in server.seen] == [False] * 3
        server.seen.clear()
        assert len(ask(engine(server), ids_of("x"), 2, temperature=0.0)) == 2
        assert ["n" in request.body for request in server.seen] == [False] * 2


def test_more_choices_than_asked_for_are_charged_and_left() -> None:
    with serving(always(completion("a", "b", "cd"))) as server:
        sampler = engine(server, "openai")
        [sample] = ask(sampler, ids_of("x"))
    assert sample.token_ids == ids_of("a</s>")
    assert (sampler.usage.samples, sampler.usage.generated_tokens) == (1, 7)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"choices": []},
        {"choices": [None]},
        {"choices": [{"finish_reason": "stop"}]},
        completion("a", finish="abort"),
        [1],
        None,
    ],
)
def test_answers_without_whole_choices_are_asked_for_again(body: Any) -> None:
    with serving(lambda k, _: Reply(body=body if k < 2 else completion("a"))) as server:
        assert ask(engine(server, "openai"), ids_of("x"))[0].token_ids == ids_of("a</s>")
    with (
        serving(always(body)) as server,
        pytest.raises(UserError, match="failed 3 times; the last time: status 200 with an answer that does"),
    ):
        ask(engine(server, "openai"), ids_of("x"))


def test_a_chat_goes_as_messages_and_cannot_be_continued_from_the_middle() -> None:
    message = {"role": "assistant", "content": "ab"}
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": "stop",
        "logprobs": {"content": [{"token": "ab", "logprob": -1.0}]},
    }
    with serving(always({"choices": [choice]})) as server:
        sampler = engine(server, "openai", chat=True, system="Be brief.", limit_field="max_completion_tokens")
        [sample] = ask(sampler, ids_of("why"))
        assert sample == Sample(token_ids=ids_of("ab</s>"), logprobs=(), finish="stop")
        [request] = server.seen
        assert request.path == "/v1/chat/completions"
        assert request.body["messages"] == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "why"},
        ]
        assert (request.body["logprobs"], request.body["max_completion_tokens"]) == (True, 9)
        with pytest.raises(UserError, match="cannot go on from half an answer"):
            ask(sampler, ids_of("why"), prompt_length=1)
        with pytest.raises(UserError, match="score: this server gives no log-probs"):
            run(sampler, sampler.score((3,), [(4,)]))


def test_a_chat_with_an_empty_content_is_an_empty_answer() -> None:
    with serving(always({"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]})) as server:
        assert ask(engine(server, "openai", chat=True), ids_of("why"))[0].token_ids == (END,)


def test_the_context_is_respected() -> None:
    with serving(always(completion("a"))) as server:
        sampler = engine(server, context=5)
        ask(sampler, (3, 3, 3))
        assert server.seen[0].body["max_tokens"] == 2
        with pytest.raises(UserError, match="a prefix of 5 tokens; .* into the model's context of 5"):
            ask(sampler, (3,) * 5)
        for prefix, limit, message in [
            ((), 9, "a prefix of 0 tokens"),
            ((3,), 0, "sampling.max_tokens is 0; expected at least 1"),
        ]:
            with pytest.raises(UserError, match=message):
                ask(sampler, prefix, max_tokens=limit)
    assert len(server.seen) == 1


def _scored(request: Seen) -> dict[str, Any]:
    """Token t has log-prob -t, in both ways."""
    ids = request.body["prompt"]
    entries = [None, *({str(t): {"logprob": -float(t), "rank": 1}, "999": {"logprob": 0.0}} for t in ids[1:])]
    return completion(
        "", prompt_logprobs=entries, logprobs={"token_logprobs": [None, *(-float(t) for t in ids[1:]), -77.0]}
    )


@pytest.mark.parametrize("kind", ["vllm", "openai"])
def test_continuations_are_scored_in_order(kind: Any) -> None:
    with serving(lambda k, seen: Reply(body=_scored(seen), delay=0.02 * (3 - k))) as server:
        scorer = engine(server, kind, ids=True)
        scores = run(scorer, scorer.score((5, 6), [(7,), (), (8, 9)]))
    assert scores == [[-7.0], [], [-8.0, -9.0]]
    assert (scorer.usage.scored_tokens, scorer.usage.prompt_tokens, scorer.usage.generated_tokens) == (3, 7, 2)
    assert all(request.body["max_tokens"] == 1 for request in server.seen)


def test_a_server_that_does_not_score_is_told_from_one_that_stumbles() -> None:
    with serving(always(completion("a"))) as server:
        scorer = engine(server)
        with pytest.raises(
            UserError, match="score: the server does not give `prompt_logprobs`: 0 log-probs for 1 tokens"
        ):
            run(scorer, scorer.score((5,), [(7,)]))
        assert len(server.seen) == 1
        text_only = engine(server, "transformers")
        with pytest.raises(UserError, match="score: this server gives no log-probs of given ids"):
            run(text_only, text_only.score((5,), [(7,)]))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_finite_number_is_none(value: float) -> None:
    with serving(always(completion("a", prompt_logprobs=[None, {"7": {"logprob": value}}]))) as server:
        scorer = engine(server)
        with pytest.raises(UserError, match="does not give `prompt_logprobs`: 0 log-probs for 1 tokens"):
            run(scorer, scorer.score((5,), [(7,)]))


def test_many_bad_moments_lose_nothing_and_mix_nothing_up() -> None:
    """Every third request meets trouble of another kind; each program still gets the answer to its own question."""
    troubles = [
        Reply(status=500, body={}),
        Reply(body=b"{", cut=1),
        Reply(body=completion("a"), cut=-1),
        Reply(status=429, body={}),
    ]

    def script(k: int, seen: Seen) -> Reply:
        return (
            troubles[k // 3 % 4]
            if k % 3 == 0
            else Reply(body=completion(seen.body["prompt"][::-1]), delay=0.001 * (k % 7))
        )

    async def reverse(item: int, lm: LM) -> str:
        [sample] = await lm.generate(ids_of(f"no {item}"), 1, Sampling(max_tokens=9))
        return letters().decode(sample.token_ids[:-1])

    with serving(script) as server:
        patient = engine(server, "openai")
        patient.transport._attempts = 20
        results = dict(run_programs(patient, range(60), reverse, seed=0, key=str, in_flight=16))
    assert results == {i: f"no {i}"[::-1] for i in range(60)}
    assert patient.usage.requests == 60 and patient.transport.retries == len(server.seen) - 60 > 0
    assert patient.transport._client is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3),
)
NAMES = ("index", "text", "finish_reason", "token_ids", "logprobs", "message", "stop_reason")
CHOICES = st.lists(
    st.dictionaries(st.sampled_from(NAMES), JSON | st.just("stop") | st.dictionaries(st.just("content"), JSON)),
    max_size=3,
)


@given(
    JSON | st.fixed_dictionaries({"choices": CHOICES, "usage": JSON | st.dictionaries(st.just("prompt_tokens"), JSON)})
)
def test_no_answer_whatever_it_is_makes_the_reader_stumble(answer: Any) -> None:
    spent = read_usage(answer)
    assert all(value is None or type(value) is int for value in (spent.prompt, spent.generated, spent.cached))
    try:
        choices = read_choices(answer)
    except Malformed:
        return
    assert len(choices) == len(answer["choices"])
    for choice in choices:
        assert isinstance(choice.text, str) and isinstance(choice.finish, str)
        assert all(type(token) is int for token in choice.ids or ())
        assert all(value is None or isinstance(value, float) for value in choice.logprobs)


@settings(max_examples=15)
@given(st.integers(0, 2**32))
def test_results_keep_request_order_whatever_the_completion_order(shuffle: int) -> None:
    delays = random.Random(shuffle).choices([0.0, 0.01, 0.02, 0.03], k=12)
    with serving(lambda k, seen: Reply(body=completion(str(seen.body["seed"])), delay=delays[k % 12])) as server:
        samples = ask(engine(server, "transformers", seeds=True), ids_of("x"), 12)
    assert [letters().decode(sample.token_ids[:-1]) for sample in samples] == [str(k) for k in range(12)]
