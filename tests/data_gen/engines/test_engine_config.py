"""Engine configs as recipes write them: what is chosen by default, and what is refused with which words."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from data_gen.engines.config import EngineConfig, OpenAIConfig, TransformersConfig, VllmConfig

READ: TypeAdapter[Any] = TypeAdapter(EngineConfig)
URL = "http://127.0.0.1:8000/v1"


def openai(**config: Any) -> OpenAIConfig:
    return READ.validate_python({"uses": "openai", **config})


def test_uses_chooses_the_engine() -> None:
    found = [
        READ.validate_python(config)
        for config in ({"uses": "transformers"}, {"uses": "vllm"}, {"uses": "openai", "base_url": URL})
    ]
    assert [type(config) for config in found] == [TransformersConfig, VllmConfig, OpenAIConfig]
    with pytest.raises(ValueError, match="'transformers', 'openai', 'vllm'"):
        READ.validate_python({"uses": "tgi"})


def test_defaults_follow_the_kind_of_server() -> None:
    plain, own = openai(base_url=f"{URL}/"), openai(serve={"command": "transformers"})
    assert (plain.base_url, plain.kind, plain.width, plain.in_flight(8)) == (URL, "openai", 64, 129)
    assert (own.kind, own.width) == ("transformers", 1)
    assert openai(serve={"command": "transformers"}, concurrency=4).width == 4
    assert openai(base_url=URL, server="vllm").kind == "vllm"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "give exactly one of base_url .* and serve"),
        ({"base_url": URL, "serve": {"command": "vllm"}}, "give exactly one of base_url .* and serve"),
        ({"serve": {"command": "vllm"}, "model": "m"}, "belong to a running server"),
        ({"serve": {"command": "vllm"}, "api_key_env": "KEY"}, "belong to a running server"),
        ({"base_url": "127.0.0.1:8000/v1"}, "base_url must look like http://127.0.0.1:8000/v1"),
        ({"base_url": "https://me:secret@host/v1"}, "must hold no user, password or query"),
        ({"base_url": "https://host/v1?key=secret"}, "must hold no user, password or query"),
        ({"base_url": URL, "api_key_env": "sk-abc"}, "must be the name of an environment variable"),
        ({"base_url": URL, "temperature": 1.0}, "Extra inputs are not permitted"),
        ({"serve": {"command": "vllm", "args": ["--port", "80"]}}, "--port is chosen by the stage"),
        (
            {"serve": {"command": "vllm", "args": ["--api-key=x"]}},
            "--api-key is refused: a key would stand in the manifest",
        ),
        ({"serve": {"command": "vllm", "args": ["--api_key", "sk-x"]}}, "--api-key is refused"),
        ({"serve": {"command": "vllm", "args": ["--api-k=sk-x"]}}, "--api-key is refused"),
        (
            {"serve": {"command": "vllm", "args": ["--hf_token=hf_x"]}},
            "--hf-token is refused: a token would stand in the manifest",
        ),
        ({"serve": {"command": "vllm", "args": ["--trust-remote-code"]}}, "--trust-remote-code is refused"),
        ({"serve": {"command": "transformers", "args": ["--continuous-batching"]}}, "with the first one's temperature"),
    ],
)
def test_what_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        openai(**config)


@pytest.mark.parametrize(
    "args",
    [["--max-model-len", "64"], ["--api-server-count=2"], ["--hf-overrides", "{}"], ["-O3"], ["--max_num_seqs=8"]],
)
def test_other_arguments_pass(args: list[str]) -> None:
    assert openai(serve={"command": "vllm", "args": args}).serve.args == tuple(args)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "said"), [("hf_token", "a token would stand in the manifest"), ("max_num_seqs", "say `slots`")]
)
def test_arguments_that_vllm_must_not_get_here(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is refused: {said}"):
        VllmConfig(args={name: "x"})
    assert VllmConfig(tensor_parallel=2, args={"max_num_batched_tokens": 9}).args == {"max_num_batched_tokens": 9}
