"""What each kind of OpenAI-compatible server accepts and returns, and the fields that make it sample from the plain
distribution.

Servers have their own defaults: llama.cpp cuts to the top 40 tokens, vLLM and SGLang apply the checkpoint's generation
config, `transformers serve` decodes greedily unless that config says otherwise. `neutral` switches these off. `vllm`
and `transformers` are tested against real servers; `sglang` and `llamacpp` follow their documentation; `openai` is the
public API only.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Literal

from data_gen.engines.base import Sampling
from data_gen.engines.config import ServerKind


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTraits:
    """One kind of server, e.g. `KINDS["vllm"]`."""

    prompt: Literal["ids", "text"] = "text"
    max_n: int | None = None
    """Most continuations per request. None: any number."""
    neutral: dict[str, Any] = field(default_factory=dict)
    """Sent with every request."""
    keeps_stop: bool = False
    """The returned text includes the stop string that ended it."""
    raw_logprobs: bool = False
    """Log-probabilities are the model's at any temperature. For other servers they are requested only at temperature 1
    and top_p 1, where the untempered and the sampled distribution are equal."""
    logprobs: bool = True
    """Takes `logprobs`."""
    score: Literal["prompt_logprobs", "echo"] | None = None
    """How it scores given tokens. Both ways need prompts as ids."""
    seeded: Literal["always", "alone", "never"] = "never"
    """Whether samples follow from the seed: always, only while the server handles no other request, never."""
    generation_config: bool = False
    """Sampling is set by a transformers generation config, sent as JSON."""
    end_ids: bool = False
    """Takes `stop_token_ids`."""

    def sampling(self, sampling: Sampling, limit: int, end_ids: Collection[int], limit_field: str) -> dict[str, Any]:
        """The sampling fields of a request's body. `limit` is the most new tokens that fit."""
        body: dict[str, Any] = {
            limit_field: limit,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            **self.neutral,
        }
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if self.end_ids:
            body["stop_token_ids"] = sorted(end_ids)
        if self.generation_config:
            body["generation_config"] = _generation_config(sampling, limit, end_ids)
        if self.logprobs and (self.raw_logprobs or sampling.temperature == sampling.top_p == 1):
            body["logprobs"] = 1
        return body


def _generation_config(sampling: Sampling, limit: int, end_ids: Collection[int]) -> str:
    drawn: dict[str, Any] = {"do_sample": False}
    if sampling.temperature > 0:
        drawn = {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
    ends = sorted(end_ids)
    return json.dumps(
        {**drawn, "max_new_tokens": limit, "eos_token_id": ends, "pad_token_id": ends[0] if ends else None}
    )


KINDS: dict[ServerKind, ServerTraits] = {
    "vllm": ServerTraits(
        prompt="ids",
        neutral={
            "top_k": 0,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "ignore_eos": True,  # the end ids that are sent determine where a solution ends
            "return_token_ids": True,
            "include_stop_str_in_output": True,
            "skip_special_tokens": False,
        },
        keeps_stop=True,
        raw_logprobs=True,
        score="prompt_logprobs",
        seeded="always",
        end_ids=True,
    ),
    "transformers": ServerTraits(max_n=1, keeps_stop=True, logprobs=False, seeded="alone", generation_config=True),
    "sglang": ServerTraits(
        prompt="ids",
        neutral={"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0, "no_stop_trim": True},
        keeps_stop=True,
        score="echo",
        end_ids=True,
    ),
    "llamacpp": ServerTraits(
        prompt="ids", max_n=1, neutral={"top_k": 0, "min_p": 0.0, "typical_p": 1.0, "repeat_penalty": 1.0}
    ),
    "openai": ServerTraits(score="echo"),
}
