"""Stages over the openai engine: a scripted server that knows the answers, models that are only served, and
`transformers serve` itself."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from data_gen.engines.base import Engine, Request, Sample, Sampling
from data_gen.engines.config import EngineConfig, OpenAIConfig, ServeConfig, TransformersConfig
from data_gen.errors import UserError
from data_gen.format import Format, StepCodec
from data_gen.tasks.chain import Chain
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import STAGES
from reasoning_train.models.engine import in_process, open_engine
from reasoning_train.models.policy import Policy, load_policy, save_policy
from reasoning_train.models.policy_text import PolicyText, load_policy_text
from reasoning_train.recipe.asked import asked
from reasoning_train.recipe.errors import Problems, RecipeError
from reasoning_train.recipe.load import load_plan
from reasoning_train.recipe.validate import validate
from reasoning_train.stages.model import ModelConfig
from reasoning_train.stages.sample import SampleConfig
from reasoning_train.store.append_log import read_logs
from tests.data_gen.engines.openai.fake_server import FakeServer, Reply, Seen, completion, serving
from tests.reasoning_train.bench import Bench, problem, rows_of
from tests.reasoning_train.stages.test_sft import FEW, start_worker, train

KEY = "sk-2718281828459045"
URL = "http://127.0.0.1:8000/v1"
OWN = {"uses": "openai", "serve": {"command": "transformers", "start_timeout": 240.0}}
QUESTIONS = [problem(f"p{k}", f"Ana has {k} coins. How many has Ana?", gold=str(k)) for k in range(6)]


def knows(k: int, seen: Seen) -> Reply:
    """Answers every question of QUESTIONS rightly, in whole sentences."""
    text = seen.body["prompt"] if "prompt" in seen.body else seen.body["messages"][-1]["content"]
    said = f"Answer: {text.split()[2]}"
    choice = {"text": said} if "prompt" in seen.body else {"message": {"content": said}}
    usage = {"prompt_tokens": 11, "completion_tokens": 4}
    return Reply(
        body={"choices": [{**choice, "index": 0, "finish_reason": "stop"}] * seen.body.get("n", 1), "usage": usage}
    )


def engine_of(server: FakeServer, **options: Any) -> dict[str, Any]:
    return {"uses": "openai", "base_url": server.url, "model": "m", **options}


@pytest.fixture
def kitchen(bench: Bench) -> Bench:
    """A fresh policy and six questions."""
    bench.model()
    bench.problems("questions", QUESTIONS)
    return bench


def test_samples_over_a_server_and_its_key_and_host_stay_out_of_everything(
    kitchen: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVER_KEY", KEY)
    with serving(knows) as server:
        engine = engine_of(server, api_key_env="SERVER_KEY")
        artifact = kitchen.make(
            "s", "sample", policy=Ref("model"), problems=Ref("questions"), n=2, max_tokens=9, engine=engine
        )
    assert {seen.headers["Authorization"] for seen in server.seen} == {f"Bearer {KEY}"}
    rows, manifest = rows_of(artifact), artifact.manifest
    assert [(row["problem_id"], row["sample"], row["verdict"]) for row in rows] == [
        (f"p{k}", i, "correct") for k in range(6) for i in (0, 1)
    ]
    assert all(row["segments"][-1]["kind"] == "end" and row["logprobs"] == [] for row in rows)
    assert manifest["counts"]["tokens.prompt"] == 6 * 11 and manifest["counts"]["tokens.generated"] == 6 * 4
    assert manifest["metrics"]["reproducible"] is False
    assert manifest["config"]["engine"]["api_key_env"] == "SERVER_KEY"
    assert manifest["config"]["engine"]["base_url"] == "http://HOST/v1"
    files = [path for path in kitchen.store.root.rglob("*") if path.is_file()]
    assert len(files) > 5
    for secret in (KEY, urlsplit(server.url).netloc):
        assert not any(secret.encode() in path.read_bytes() for path in files)


def test_evaluation_over_a_server(kitchen: Bench) -> None:
    with serving(knows) as server:
        config = {"policies": {"base": Ref("model")}, "problems": Ref("questions"), "samples": 3, "max_tokens": 9}
        artifact = kitchen.make("e", "evaluate", **config, engine=engine_of(server))
    assert artifact.manifest["metrics"]["summary"]["policies"]["base"]["accuracy"][0] == 1.0
    assert [seen.body["temperature"] for seen in server.seen].count(0.0) == 6


def test_what_a_stage_runs_on_is_told_but_is_not_part_of_its_key() -> None:
    plain = SampleConfig(policy=Ref("p"), problems=Ref("q"))
    served = SampleConfig.model_validate({**dict(plain), "engine": {"uses": "openai", "base_url": "http://h/v1"}})
    assert isinstance(served.engine, OpenAIConfig) and isinstance(plain.engine, TransformersConfig)
    assert asked(served) == asked(plain)


def test_a_key_in_the_wrong_place_is_not_repeated_in_the_message() -> None:
    problems = Problems({}, "recipe.yaml")
    wrong = [{"api_key_env": "sk-1234567890"}, {"base_url": "https://me:sk-1234567890@host/v1"}]
    for engine in wrong:
        validate(SampleConfig, {"engine": {"uses": "openai", "base_url": URL, **engine}}, "stages.s", problems)
    own = {"uses": "openai", "serve": {"command": "vllm", "args": ["--api-key", "sk-1234567890"]}}
    validate(SampleConfig, {"engine": own}, "stages.s", problems)
    with pytest.raises(
        RecipeError, match="stages.s.engine.api_key_env: api_key_env must be the name of an environment variable"
    ) as caught:
        problems.raise_if_any()
    assert "sk-1234567890" not in str(caught.value)


def test_an_unknown_key_is_answered_with_the_nearest() -> None:
    problems = Problems({}, "recipe.yaml")
    validate(SampleConfig, {"engine": {"uses": "openai", "base_url": URL, "concurency": 3}}, "stages.s", problems)
    with pytest.raises(
        RecipeError, match=r"stages.s.engine.concurency: unknown key 'concurency'. Did you mean 'concurrency'\?"
    ):
        problems.raise_if_any()


def test_a_server_that_breaks_down_leaves_what_is_saved_and_the_rows_replay(kitchen: Bench) -> None:
    def tires(k: int, seen: Seen) -> Reply:
        return knows(k, seen) if k < 3 else Reply(status=500, body={"error": "out of memory"})

    config: dict[str, Any] = {"policy": Ref("model"), "problems": Ref("questions"), "n": 1, "max_tokens": 9}
    with (
        serving(tires) as server,
        pytest.raises(UserError, match="status 500: out of memory.*run the same command to go on"),
    ):
        kitchen.make("s", "sample", **config, engine=engine_of(server, concurrency=1, attempts=1))
    log = read_logs(kitchen.store.partial(kitchen.nodes["s"]))
    saved = {row["problem_id"]: row["completion"] for rows in log.records() for row in rows}
    assert 1 <= len(saved) <= 3

    def changed(k: int, seen: Seen) -> Reply:
        return Reply(body=completion(f"Answer: {seen.body['prompt'].split()[2]}\n"))

    with serving(changed) as other:
        # How the rest is made is no part of the key, so that another server may finish it.
        kitchen.nodes["s"].config["engine"] = engine_of(other)
        artifact = kitchen.run("s")
    rows = {row["problem_id"]: row["completion"] for row in rows_of(artifact)}
    assert len(rows) == 6 and len(other.seen) == 6 - len(saved)
    assert all(rows[name] == text for name, text in saved.items())
    assert all(rows[name].endswith("\n") for name in rows.keys() - saved.keys())


def test_without_a_name_the_only_model_is_taken(kitchen: Bench) -> None:
    def lists(names: list[str]) -> Any:
        def script(k: int, seen: Seen) -> Reply:
            return (
                Reply(body={"data": [{"id": name} for name in names]}) if seen.path == "/v1/models" else knows(k, seen)
            )

        return script

    config: dict[str, Any] = {"policy": Ref("model"), "problems": Ref("questions"), "n": 1, "max_tokens": 9}
    with serving(lists(["tiny"])) as server:
        kitchen.make("one", "sample", **config, engine={"uses": "openai", "base_url": server.url})
        assert {seen.body["model"] for seen in server.seen if seen.body} == {"tiny"}
    with (
        serving(lists(["a", "b"])) as server,
        pytest.raises(UserError, match=r"engine.model is missing, and .* lists 2 models \(a, b\)"),
    ):
        kitchen.make("two", "sample", **config, engine={"uses": "openai", "base_url": server.url})


@pytest.fixture
def served(kitchen: Bench) -> Bench:
    """`hosted` is a model that is only served; its tokenizer is that of `model`."""
    folder = kitchen.store.open(kitchen.nodes["model"]).path / "model"
    tokenizer = kitchen.store.root / "tokenizer"
    load_policy_text(folder).tokenizer.save_pretrained(tokenizer)
    shape = {"template": "server", "system": "Be brief."}
    task_format = Chain(uses="chain").format.model_dump()
    kitchen.make(
        "hosted", "model", served="big-1", tokenizer=str(tokenizer), context=99, format=shape, task_format=task_format
    )
    return kitchen


def test_a_model_that_is_only_served_is_sampled_through_its_chat(served: Bench) -> None:
    with serving(knows) as server:
        engine = {"uses": "openai", "base_url": server.url, "max_n": 1}
        artifact = served.make(
            "s", "sample", policy=Ref("hosted"), problems=Ref("questions"), n=2, max_tokens=9, engine=engine
        )
    assert artifact.manifest["metrics"]["pass_rate"] == 1.0
    assert {seen.path for seen in server.seen} == {"/v1/chat/completions"}
    body = server.seen[0].body
    assert body["model"] == "big-1"
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert body["messages"][1]["content"] in {q.question for q in QUESTIONS}


def test_a_model_that_is_only_served_can_do_nothing_else(served: Bench) -> None:
    config: dict[str, Any] = {"policy": Ref("hosted"), "problems": Ref("questions"), "n": 1, "max_tokens": 9}
    only = "'big-1' is only served: it has no weights here"
    with pytest.raises(UserError, match=only):
        served.make("here", "sample", **config)
    with pytest.raises(UserError, match=only):
        served.make("vllm", "sample", **config, engine={"uses": "vllm"})
    with pytest.raises(
        UserError, match="engine.serve: the policy 'big-1' has no weights here that a server could load"
    ):
        served.make("own", "sample", **config, engine=OWN)
    served.gold()
    with pytest.raises(UserError, match=only):
        train(served, policy="hosted")
    measured: dict[str, Any] = {"problems": Ref("gold.problems"), "solutions": Ref("gold"), "policy": Ref("model")}
    with pytest.raises(UserError, match=only):
        served.make("measured", "evaluate_verifier", likelihoods={"hosted": Ref("hosted")}, **measured)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"served": "m"}, "`served` and a `tokenizer` folder belong together"),
        ({"path": "x", "tokenizer": "y"}, "`served` and a `tokenizer` folder belong together"),
        ({"path": "x", "format": {"template": "server"}}, "`template: server` needs a model that is `served`"),
    ],
)
def test_served_models_that_do_not_fit(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModelConfig.model_validate(config)


HOSTED = """
name: hosted
task: {uses: chain, seed: 0, train: 24, explore: 8, dev: 8, test: 8, steps: [1, 2]}
model: {served: big-1, tokenizer: words, context: 99, format: {template: server}}
stages:
  s: {uses: sample, policy: "${model}", problems: "${task.explore}", engine: {uses: openai, base_url: "http://h/v1"}}
"""


def test_a_served_model_is_known_by_its_name_and_its_tokenizer(tmp_path: Path) -> None:
    words = tmp_path / "words"
    words.mkdir()
    (words / "tokenizer.json").write_text("one")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(HOSTED)

    def keys(*overrides: str) -> tuple[str, str]:
        plan = load_plan(recipe, list(overrides))
        assert Path(plan.nodes["model"].config["tokenizer"]) == words
        return plan.nodes["model"].key, plan.nodes["s"].key

    before = keys()
    assert keys("stages.s.engine.base_url=https://other/v1", "stages.s.engine.concurrency=3") == before
    others = [keys("model.served=big-2"), keys("model.format.template=plain")]
    (words / "tokenizer.json").write_text("two")
    others.append(keys())
    assert len({key for pair in (before, *others) for key in pair}) == 8


@pytest.mark.parametrize(
    ("engine", "alone"), [({"uses": "transformers"}, False), ({"uses": "vllm"}, True), (OWN, True)]
)
def test_servers_and_vllm_are_driven_by_one_process(engine: dict[str, Any], alone: bool) -> None:
    assert STAGES.get("sample").alone({"policy": Ref("p"), "problems": Ref("q"), "engine": engine}) is alone
    assert not STAGES.get("select").alone({"solutions": Ref("s")})
    assert STAGES.get("soften").alone({"data": Ref("s"), "policy": Ref("p")}), "the teacher is loaded once"


def test_a_tokenizer_that_knows_no_context_asks_for_one(kitchen: Bench) -> None:
    folder = kitchen.store.root / "bare"
    tokenizer = load_policy_text(kitchen.store.open(kitchen.nodes["model"]).path / "model").tokenizer
    tokenizer.save_pretrained(folder)
    with pytest.raises(UserError, match="model.context: .* give `context`"):
        kitchen.make("hosted", "model", served="big-1", tokenizer=str(folder))


def test_an_evaluation_leaves_no_server_behind_when_it_cannot_start(kitchen: Bench, tmp_path: Path) -> None:
    program = tmp_path / "transformers"
    program.write_text("#!/bin/sh\necho no such model: $2\nexit 7\n")
    program.chmod(0o755)
    engine = {"uses": "openai", "serve": {"command": "transformers", "executable": str(program)}}
    with pytest.raises(
        UserError, match=r"(?s)The server ended before it answered.*no such model: .*ended with exit code 7"
    ):
        kitchen.make("s", "sample", policy=Ref("model"), problems=Ref("questions"), n=1, max_tokens=9, engine=engine)
    assert (kitchen.store.partial(kitchen.nodes["s"]) / "work" / "server.log").exists()
    assert not _serving(kitchen)


class _Context:
    """As much of a stage's context as opening an engine takes."""

    threads = 1

    def __init__(self, partial: Path) -> None:
        self.partial, self.metrics = partial, dict[str, Any]()

    def metric(self, name: str, value: Any) -> None:
        self.metrics[name] = value

    def count(self, name: str, n: int = 1) -> None:
        """Not of interest."""


def _serving(bench: Bench) -> list[psutil.Process]:
    """Servers that run on a model of this store."""
    found = []
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
        except psutil.Error:
            continue
        if "serve" in command and any(str(bench.store.root) in argument for argument in command):
            found.append(process)
    return found


def ask(engine: Engine, policy: PolicyText, questions: list[str], first: int = 0, **sampling: Any) -> list[Sample]:
    """One sample a question, with seeds from `first` on (shifted, as real ones are large)."""

    async def all_of_them() -> list[list[Sample]]:
        prefixes = [tuple(policy.codec.prompt_ids(question)) for question in questions]
        drawn = Sampling(**{"max_tokens": 40, **sampling})
        asked = [Request(prefix=p, sampling=drawn, seeds=(k << 33,)) for k, p in enumerate(prefixes, first)]
        try:
            return list(await asyncio.gather(*map(engine.generate, asked)))
        finally:
            await engine.aclose()

    return [sample for [sample] in asyncio.run(all_of_them())]


def bytes_policy() -> Policy:
    """Fresh weights over single bytes: `transformers serve` finds stop strings in whole-word vocabularies not at
    all."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE({text: i for i, text in enumerate([*alphabet, "<eos>"])}, []))
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<eos>", pad_token="<eos>", clean_up_tokenization_spaces=False
    )
    shape = {
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
    }
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(**shape, vocab_size=257, max_position_embeddings=192, bos_token_id=None, eos_token_id=256)
    )
    fmt = Format(task=Chain(uses="chain").format)
    return Policy(model, tokenizer, fmt, StepCodec(fmt, tokenizer))


@pytest.fixture
def learned_bytes(bench: Bench, one_thread: None, tmp_path: Path) -> Path:
    """A policy over single bytes that has learned the 4 problems of `gold.problems`."""
    save_policy(bytes_policy(), tmp_path / "bytes")
    bench.make("bytes", "model", path=str(tmp_path / "bytes"), task_format=Chain(uses="chain").format.model_dump())
    bench.gold(task=FEW)
    train(bench, policy="bytes", learning_rate=0.01, max_steps=300, schedule="constant", max_length=192)
    return bench.store.open(bench.nodes["tuned"]).path / "model"


@pytest.fixture
def learned(bench: Bench, one_thread: None) -> Iterator[Bench]:
    """`tuned` has learned the 4 problems of `gold.problems`; no server outlives the test."""
    bench.model()
    bench.gold(task=FEW)
    until = {"problems": Ref("gold.problems"), "accuracy": 1.0, "every": 20, "max_tokens": 40}
    train(bench, learning_rate=0.02, max_steps=400, schedule="constant", until=until)
    yield bench
    assert not _serving(bench)


@pytest.mark.slow
def test_transformers_serve_gives_what_the_engine_in_this_process_gives(
    bench: Bench, learned_bytes: Path, tmp_path: Path
) -> None:
    policy, weights = load_policy_text(learned_bytes), load_policy(learned_bytes)
    config: EngineConfig = OpenAIConfig(serve=ServeConfig(command="transformers", start_timeout=240.0))
    questions = [row["question"] for row in rows_of(bench.store.open(bench.nodes["gold.problems"]))]
    context = _Context(tmp_path)
    with open_engine(policy, config, context) as engine:  # type: ignore[arg-type]
        here = in_process(weights)
        for sampling in (
            {"temperature": 0.0},
            {"temperature": 0.0, "stop": ("\n",)},
            {"temperature": 0.0, "max_tokens": 5},
        ):
            there = ask(engine, policy, questions, **sampling)
            assert [(s.token_ids, s.finish) for s in there] == [
                (s.token_ids, s.finish) for s in ask(here, policy, questions, **sampling)
            ]
            assert len({s.token_ids for s in there}) == 4
        drawn, again, others = (ask(engine, policy, questions * 16, first, temperature=1.5) for first in (0, 0, 100))
        assert drawn == again and drawn != others  # follows the seeds
        assert len({s.token_ids for s in drawn}) > 16
        assert engine.usage.generated_tokens > 0 and engine.seeded
        with pytest.raises(UserError, match="score: this server gives no log-probs"):
            asyncio.run(engine.score((3, 4), [(5,)]))
    assert context.metrics == {}


@pytest.mark.slow
def test_trees_grow_over_a_real_server(bench: Bench, learned_bytes: Path) -> None:
    select = {"uses": "puct", "prior": "draws"}  # `transformers serve` gives no log-probs
    search = {
        "uses": "mcts",
        "simulations": 6,
        "select": select,
        "expand": {"n": 3, "temperature": 1.0, "max_tokens": 40},
    }
    config: dict[str, Any] = {"policy": Ref("tuned"), "problems": Ref("gold.problems"), "search": search, "gold": True}
    first, again = (
        bench.make(name, "search", **config, scorer={"uses": "constant"}, engine=OWN) for name in ("a", "b")
    )
    rows = rows_of(first)
    assert first.manifest["metrics"]["trees"]["solved"] == 1.0
    assert first.manifest["counts"]["tokens.prompt"] > 0 and "reproducible" not in first.manifest["metrics"]
    assert rows == rows_of(again)
    assert max(row["depth"] for row in rows) >= 2 and {row["logprob"] for row in rows if row["depth"]} == {None}
    assert not _serving(bench)
    with pytest.raises(UserError, match=r"gave no log-probs with the step .* Use `select: {uses: puct, prior: draws}`"):
        bench.make(
            "c",
            "search",
            **{**config, "search": {**search, "select": {"uses": "puct"}}},
            scorer={"uses": "constant"},
            engine=OWN,
        )


@pytest.mark.slow
def test_a_killed_stage_takes_its_server_along_and_goes_on_with_another(learned: Bench) -> None:
    learned.make("explore", "problems", task={**FEW, "explore": 60}, split="explore")
    config: dict[str, Any] = {
        "policy": Ref("tuned"),
        "problems": Ref("explore"),
        "n": 2,
        "max_tokens": 40,
        "engine": OWN,
    }
    learned.add("s", "sample", **config)
    for how, wanted in ((signal.SIGKILL, 5), (signal.SIGTERM, 15)):
        process = start_worker(learned, "s")
        _wait(process, lambda wanted=wanted: learned.recorded("s") >= wanted)
        assert len(_serving(learned)) >= 1
        process.send_signal(how)
        process.wait()
        _wait(None, lambda: not _serving(learned))
    log = read_logs(learned.store.partial(learned.nodes["s"]))
    saved = [row for rows in log.records() for row in rows]
    assert 15 <= len(log) < 60
    resumed = learned.run("s")
    rows = rows_of(resumed)
    kept = {(row["problem_id"], row["sample"]): row for row in rows}
    assert len(rows) == 120 and all(
        kept[row["problem_id"], row["sample"]]["completion"] == row["completion"] for row in saved
    )
    assert resumed.manifest["attempts"] == 3 and "reproducible" not in resumed.manifest["metrics"]
    assert rows_of(learned.make("again", "sample", **config)) == rows


@pytest.mark.slow
def test_a_real_server_that_dies_is_started_again(learned: Bench) -> None:
    learned.make("explore", "problems", task={**FEW, "explore": 60}, split="explore")
    learned.add("s", "sample", policy=Ref("tuned"), problems=Ref("explore"), n=2, max_tokens=40, engine=OWN)
    process = start_worker(learned, "s")
    _wait(process, lambda: learned.recorded("s") >= 5)
    leader = max(_serving(learned), key=lambda p: p.create_time())
    os.kill(leader.pid, signal.SIGKILL)
    assert process.wait(300) == 0
    artifact = learned.store.open(learned.nodes["s"])
    assert len(rows_of(artifact)) == 120 and artifact.manifest["attempts"] == 1


def _wait(process: subprocess.Popen[bytes] | None, done: Any) -> None:
    end = time.monotonic() + 240
    while not done():
        assert process is None or process.poll() is None, "the stage ended before it could be killed"
        assert time.monotonic() < end
        time.sleep(0.02)
