"""Which engine a stage runs its language model on, as recipes say it: `engine: {uses: openai, base_url: ..., model: ...}`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _EngineConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TransformersConfig(_EngineConfig):
    """The policy's weights in this process, e.g. `TransformersConfig(slots=64)`."""

    uses: Literal["transformers"] = "transformers"
    slots: int = Field(256, ge=1)
    """Most rows that decode at once, where memory allows: width is the lever of decoding speed."""


class OpenAIConfig(_EngineConfig):
    """An OpenAI-compatible server."""

    uses: Literal["openai"] = "openai"


class VllmConfig(_EngineConfig):
    """The policy's weights in vLLM, in this process."""

    uses: Literal["vllm"] = "vllm"


EngineConfig = Annotated[TransformersConfig | OpenAIConfig | VllmConfig, Field(discriminator="uses")]
"""A stage's `engine` field: `engine: Annotated[EngineConfig, Unkeyed()] = TransformersConfig()`."""
