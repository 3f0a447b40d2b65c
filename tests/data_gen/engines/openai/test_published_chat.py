"""A published policy, asked the bare question through the chat endpoint of real servers, says what it says to its own
prompt: they render the chat template that it carries, and tokenise it themselves."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import httpx2
import pytest

from data_gen.checkpoints import save_text
from data_gen.engines.config import ServeConfig
from data_gen.engines.local.engine import TransformersEngine
from data_gen.engines.openai.server import ModelServer
from data_gen.engines.openai.server_commands import serve_command, serve_environment
from data_gen.format import Example, Format, ModelFormat, StepCodec, TaskFormat
from tests.data_gen.engines.tiny import ask, request
from tests.data_gen.engines.vllm.tiny import vllm_program
from tests.data_gen.tokenizers import KINDS

TASK = TaskFormat(prompt="Q: {question}\nGo.", examples=(Example(question="1 + 1?", solution="2.\nAnswer: 2"),))
POLICIES = {
    "plain": (ModelFormat(plain_suffix=" ->\n"), "byte_level_eos"),  # a token in front of every text, eos behind it
    "chat": (ModelFormat(template="chat", system="It's \\ brief."), "byte_level"),  # ChatML, eos <|endoftext|>
}
LENGTH = 12


def saved(name: str, folder: Path) -> tuple[Any, StepCodec]:
    """A random model whose greedy choices are far apart, published; heads of 32, which vLLM's CPU kernels take."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    shape, kind = POLICIES[name]
    codec = StepCodec(Format(task=TASK, model=shape), KINDS[kind]())
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(codec.tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.3,
        bos_token_id=None,
        eos_token_id=sorted(codec.end_ids),
    )
    model = LlamaForCausalLM(config).eval()
    model.save_pretrained(folder)
    save_text(codec, folder)
    return model, codec


@pytest.fixture(
    params=[pytest.param("vllm", marks=pytest.mark.vllm), pytest.param("transformers", marks=pytest.mark.slow)]
)
def command(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=sorted(POLICIES))
def policy(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Any, StepCodec]:
    return tmp_path / "policy", *saved(request.param, tmp_path / "policy")


def test_a_served_policy_is_asked_what_was_trained(
    command: str, policy: tuple[Path, Any, StepCodec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, model, codec = policy
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    drawn = random.Random(0)
    questions = [f"Ana has {drawn.randint(2, 99)}. Ben has {drawn.randint(2, 99)} more." for _ in range(20)]
    engine = TransformersEngine(model, codec.tokenizer, end_ids=codec.end_ids)
    asked = (request(tuple(codec.prompt_ids(question)), max_tokens=LENGTH, temperature=0) for question in questions)
    wanted = [said(codec, sample.token_ids) for [sample] in ask(engine, *asked)]
    serve = ServeConfig(command=command, executable=vllm_program(tmp_path) if command == "vllm" else None)  # type: ignore[arg-type]
    running = ModelServer(
        serve_command(serve, folder, context=512, gpu=False),
        log=tmp_path / "server.log",
        start_timeout=300.0,
        env=serve_environment(1),
    )
    with running as server:
        found = [chat(server.url, str(folder), question) for question in questions]
    assert len(set(wanted)) > 10
    assert found == wanted


def said(codec: StepCodec, ids: tuple[int, ...]) -> str:
    """As text. Parts of characters are left out: vLLM drops those at the ends of a text."""
    text = codec.tokenizer.decode([i for i in ids if i not in codec.end_ids], skip_special_tokens=True)
    return str(text).replace("\ufffd", "")


def chat(url: str, name: str, question: str) -> str:
    """What a server says to the bare question."""
    body = {"model": name, "messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": LENGTH}
    answer = httpx2.post(f"{url}/chat/completions", json=body, timeout=120.0, trust_env=False).raise_for_status()
    return str(answer.json()["choices"][0]["message"]["content"]).replace("\ufffd", "")
