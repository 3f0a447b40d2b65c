"""Which engine a stage runs its language model on, as recipes say it: `engine: {uses: openai, base_url: ..., model:
...}`.

These configs say how the work is done, never what comes out. Stages keep them out of their keys, so no field here may
change a distribution.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

ServerKind = Literal["vllm", "transformers", "sglang", "llamacpp", "openai"]
"""Kinds of OpenAI-compatible servers (what each can do: openai/kinds.py)."""
_OURS = ("--port", "--host", "--served-model-name")
_REFUSED = {
    "--api-key": "a key would stand in the manifest; the server listens on the loopback interface only and needs none",
    "--hf-token": "a token would stand in the manifest, and nothing is downloaded",
    "--trust-remote-code": "remote code is never run",
    "--continuous-batching": "it samples every request with the first one's temperature and stop strings",
}
_OUR_VLLM_ARGS = {
    **dict.fromkeys(("model", "tokenizer", "dtype", "seed", "max_model_len", "logprobs_mode"), "the stage sets it"),
    "max_num_seqs": "say `slots`",
    "tensor_parallel_size": "say `tensor_parallel`",
    "gpu_memory_utilization": "say `memory`",
    "kv_cache_memory_bytes": "say `kv_cache_gib`",
    **{name: f"say `{name}` beside `args`" for name in ("block_size", "enforce_eager")},
    "enable_prefix_caching": "say `prefix_caching`",
    "trust_remote_code": "remote code is never run",
    "hf_token": "a token would stand in the manifest, and nothing is downloaded",
}


class _EngineConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    alone: ClassVar[bool] = False
    """Whether one process drives it: such an engine keeps the machine busy and has no room for a second one."""


class TransformersConfig(_EngineConfig):
    """The policy's weights in this process, e.g. `TransformersConfig(slots=64)`."""

    uses: Literal["transformers"] = "transformers"
    slots: int = Field(256, ge=1)
    """Most rows that decode at once, if memory allows. Decoding speed depends mostly on this."""

    def in_flight(self, samples: int) -> int:
        """Number of programs of `samples` rows to run at once. Some wait for graders, so there are more than the slots
        need."""
        return 2 * self.slots // max(1, samples) + 1


class ServeConfig(_EngineConfig):
    """A server that the stage starts and stops, e.g. `ServeConfig(command="vllm", args=("--max-model-len",
    "4096"))`."""

    command: Literal["vllm", "transformers"]
    args: tuple[str, ...] = ()
    """Further arguments. The stage supplies model, host and port."""
    executable: str | None = None
    """The program to start. Default: the one beside this Python, else the one on PATH."""
    start_timeout: float = Field(900.0, gt=0)
    """Seconds to wait for the server to answer. Large models load for minutes."""

    @field_validator("args")
    @classmethod
    def _no_arguments_of_ours(cls, args: tuple[str, ...]) -> tuple[str, ...]:
        for arg in (arg.partition("=")[0] for arg in args):
            # vLLM treats underscores as dashes and accepts abbreviated option names.
            name = next(
                (
                    full
                    for full in (*_OURS, *_REFUSED)
                    if len(arg) > 3 and full.startswith(arg.lower().replace("_", "-"))
                ),
                "",
            )
            if name in _OURS:
                raise ValueError(f"{name} is chosen by the stage; leave it out")
            if name in _REFUSED:
                raise ValueError(f"{name} is refused: {_REFUSED[name]}")
        return args


def plain_url(url: str) -> str:
    """A server's address without a trailing slash. ValueError if it is no address or contains a user, password or
    query."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("base_url must look like http://127.0.0.1:8000/v1")
    if parts.username or parts.password or parts.query:
        raise ValueError(
            "base_url must hold no user, password or query; a key comes from the variable that api_key_env names"
        )
    return url.rstrip("/")


class OpenAIConfig(_EngineConfig):
    """An OpenAI-compatible server that is already running or that the stage starts.

    `OpenAIConfig(base_url="http://127.0.0.1:8000/v1", server="vllm")`,
    `OpenAIConfig(serve=ServeConfig(command="vllm"))`, `OpenAIConfig(base_url="https://api.example.com/v1",
    api_key_env="EXAMPLE_KEY", concurrency=16)`.
    """

    alone: ClassVar[bool] = True
    uses: Literal["openai"] = "openai"
    base_url: str | None = None
    """URL up to and including `/v1`."""
    serve: ServeConfig | None = None
    server: ServerKind | None = None
    """Kind of server at `base_url`. Default `openai`: the public API only."""
    model: str | None = None
    """The server's name for the policy. Default: the policy's `served` name, else the only model that the server
    lists."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the API key. The key itself is never written to disk."""
    prompt: Literal["ids", "text"] | None = None
    """How prefixes are sent. Default: the way this kind of server takes them."""
    seeds: bool | None = None
    """Whether to send seeds. Default: only to kinds that honour them. A vLLM server on a CPU that was started elsewhere
    crashes on seeds if it prefills in chunks."""
    max_n: int | None = Field(None, ge=1)
    """Most continuations per request. Default: as many as this kind of server takes."""
    limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """The server's field name for the limit of new tokens."""
    concurrency: int | None = Field(None, ge=1)
    """Most requests in flight. Default: 64, or 1 for `transformers`, which handles one at a time."""
    timeout: float = Field(600.0, gt=0)
    """Seconds after which an unanswered request is cancelled and sent again."""
    attempts: int = Field(8, ge=1)
    """Most attempts per request. The waits between them grow to a minute."""

    @field_validator("base_url")
    @classmethod
    def _plain_url(cls, url: str | None) -> str | None:
        return plain_url(url) if url else url

    @field_validator("api_key_env")
    @classmethod
    def _name_of_a_variable(cls, name: str | None) -> str | None:
        # The message leaves the value out: whoever puts a key here does not want to read it in a log.
        if name is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError(
                "api_key_env must be the name of an environment variable, such as OPENAI_API_KEY, not the key itself"
            )
        return name

    @model_validator(mode="after")
    def _one_server(self) -> OpenAIConfig:
        if (self.base_url is None) == (self.serve is None):
            raise ValueError("give exactly one of base_url (a server that runs) and serve (one to start)")
        if self.serve and (self.server or self.api_key_env or self.model):
            raise ValueError("server, model and api_key_env belong to a running server; serve sets its own")
        return self

    @property
    def kind(self) -> ServerKind:
        """The kind of server, whether the stage starts it or not."""
        return self.serve.command if self.serve else self.server or "openai"

    @property
    def width(self) -> int:
        """Most requests in flight."""
        return self.concurrency or (1 if self.kind == "transformers" else 64)

    def in_flight(self, samples: int) -> int:
        """Number of programs to run at once: twice the number of requests, since some wait for graders."""
        return 2 * self.width + 1


class VllmConfig(_EngineConfig):
    """The policy's weights in vLLM, in this process, e.g. `VllmConfig(tensor_parallel=2,
    args={"max_num_batched_tokens": 16384})`.

    It runs in float32 on a CPU and bfloat16 on GPUs, with sequences up to the model's own context.
    """

    alone: ClassVar[bool] = True
    uses: Literal["vllm"] = "vllm"
    slots: int = Field(256, ge=1)
    """Most rows that decode at once, if memory allows."""
    tensor_parallel: int = Field(1, ge=1)
    """Number of GPUs (on a CPU: processes) that the model is split over."""
    memory: float = Field(0.9, gt=0, le=1)
    """Share of each GPU's memory for weights, keys and values."""
    kv_cache_gib: float | None = Field(None, gt=0)
    """GiB for keys and values. Default: on a GPU what `memory` leaves, on a CPU 2."""
    block_size: int | None = Field(None, ge=1)
    """Tokens per cache block. Default: vLLM's own on a GPU; 32 on a CPU, the least that it accepts."""
    prefix_caching: bool = True
    """Whether prefixes that were computed before are reused."""
    enforce_eager: bool | None = None
    """Whether to run without compiled graphs. Default: only on a CPU, where compiling a small model costs more than it
    saves."""
    args: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """Further fields of vLLM's `EngineArgs`, by name."""

    @field_validator("args")
    @classmethod
    def _no_settings_of_ours(cls, args: dict[str, bool | int | float | str]) -> dict[str, bool | int | float | str]:
        for name in sorted(args.keys() & _OUR_VLLM_ARGS.keys()):
            raise ValueError(f"{name} is refused: {_OUR_VLLM_ARGS[name]}")
        return args

    def in_flight(self, samples: int) -> int:
        """Number of programs of `samples` rows to run at once. Some wait for graders, so there are more than the slots
        need."""
        return 2 * self.slots // max(1, samples) + 1


EngineConfig = Annotated[TransformersConfig | OpenAIConfig | VllmConfig, Field(discriminator="uses")]
"""A stage's `engine` field: `engine: Annotated[EngineConfig, Unkeyed()] = TransformersConfig()`."""
