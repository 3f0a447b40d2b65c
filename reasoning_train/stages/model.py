"""`model`: the base policy of a recipe, with fresh weights or from a folder, the Hub, a GGUF file or a server.

Implicit: `${model}` makes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from data_gen.errors import UserError
from data_gen.format import Format, ModelFormat, StepCodec, TaskFormat
from data_gen.registry import Unkeyed
from data_gen.sources.hub import HubId
from data_gen.templates.rendering import DATE
from reasoning_train.api.stage import Context, Made, Sizes, StageConfig, stage
from reasoning_train.stages.elsewhere import base_of, refer
from reasoning_train.stages.fits import unloadable

if TYPE_CHECKING:
    from reasoning_train.models.policy import Policy


class Architecture(BaseModel):
    """A Llama-shaped model with fresh weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    hidden_size: int = Field(128, ge=1, le=65_536)
    layers: int = Field(2, ge=1, le=1_000)
    heads: int = Field(4, ge=1, le=1_024)
    intermediate_size: int = Field(384, ge=1, le=1_000_000)
    max_length: int = Field(512, ge=2, le=10_000_000)
    rope_theta: float = Field(10_000.0, gt=0)
    init_std: float = Field(0.02, gt=0, le=10)
    """Standard deviation of the initial weights. Narrow models learn much faster with about 0.7 / sqrt(hidden_size)."""

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.hidden_size % (2 * self.heads):
            raise ValueError(
                f"heads: hidden_size={self.hidden_size} must be a multiple of 2 * heads={2 * self.heads}, since every "
                "head has the same even width"
            )
        return self


class ModelConfig(StageConfig):
    """Exactly one source: `init`, `path`, `hub`, `gguf` or `served`."""

    init: Architecture | None = None
    path: Path | None = None
    """A local `from_pretrained` folder. It is used in place, not copied."""
    hub: HubId | None = None
    """A Hub id, with `revision`. It is looked up only in the local cache; `reasoning-train fetch` downloads it."""
    revision: str | None = None
    base: str | None = None
    """The model under an adapter of the Hub that names no commit of its base, as `NAME@COMMIT`. Filled in from the
    local cache, so that it is part of the key; if the recipe says it, another one is refused."""
    gguf: str | None = None
    """`PACKAGE/FILE.gguf` of an installed Python package, converted once to safetensors."""
    self_check: Annotated[Literal["stop", "tell"], Unkeyed()] = "stop"
    """What happens if the engine in this process or training would not compute what transformers computes for models of
    this family. `tell`: the stage goes on, for models that only vLLM or a server samples from; other stages still
    refuse."""
    served: str | None = None
    """The name of a model on a server, with a `tokenizer` for its text. Stages sample from it with the openai
    engine."""
    tokenizer: Literal["task"] | Path | None = None
    """`task`: the words of the task's closed vocabulary (with `init`). A folder: its tokenizer (with `served`).
    Default: the source's own."""
    context: int | None = Field(None, ge=2)
    """Maximum sequence length of a `served` model, in tokens. Default: what its tokenizer says."""
    format: ModelFormat = ModelFormat()
    """How it is asked. A model from elsewhere is asked by the chat template that it brings unless `template` says
    otherwise (`auto`); a folder that this program published is asked as it was trained."""
    task_format: TaskFormat = TaskFormat()
    """Filled in from `task.format`."""
    vocabulary: list[str] | None = Field(None, repr=False)
    """Filled in from the task if `tokenizer: task`."""

    @model_validator(mode="after")
    def _one_source(self) -> ModelConfig:
        named = [name for name in ("init", "path", "hub", "gguf", "served") if getattr(self, name) is not None]
        if len(named) != 1:
            raise ValueError(f"give exactly one of init, path, hub, gguf, served; got {', '.join(named) or 'none'}")
        if bool(self.served) != isinstance(self.tokenizer, Path):
            raise ValueError("`served` and a `tokenizer` folder belong together: one makes text, the other reads it")
        if self.format.template == "server" and not self.served:
            raise ValueError("`template: server` needs a model that is `served`; with weights here use plain or chat")
        if self.init and not self.vocabulary:
            raise ValueError(
                "a model with fresh weights (`init`) needs `tokenizer: task` and a task with a closed "
                "vocabulary, such as chain"
            )
        return self


@stage("model", version=2, outputs={"model": "model"}, seeded=lambda config: config.init is not None)
def model(config: ModelConfig, ctx: Context) -> None:
    """Write the base policy, or a pointer to its weights."""
    from data_gen.checkpoints import read_config, save_format
    from data_gen.models.elsewhere import whole_model
    from reasoning_train.models.gguf import load_gguf
    from reasoning_train.models.parameters import parameters_of
    from reasoning_train.models.policy import save_policy
    from reasoning_train.models.policy_text import load_policy_text
    from reasoning_train.models.text_check import as_published, check_text

    fmt, out = Format(task=config.task_format, model=config.format), ctx.output("model")
    if config.served:
        return _served(config, fmt, out)
    if config.init or config.gguf:
        policy = _fresh(config, fmt) if config.init else load_gguf(config.gguf or "", fmt)
        ctx.metric("parameters", sum(p.numel() for p in policy.model.parameters()))
        check_text(policy.codec, policy.model.config)
        _self_check(policy.model.config, config)
        return save_policy(policy, out)
    weights = refer(config, "model", ctx, out)
    if known := parameters_of(weights):
        ctx.metric("parameters", known)
    save_format(as_published(weights, fmt), out)
    text = load_policy_text(out)  # fail here on missing or torn files, before later stages start
    save_format(text.format, out)
    base = whole_model(weights)
    loaded = read_config(base)
    check_text(text.codec, loaded)
    _self_check(loaded, config)
    _tell_generation(base)


def _tell_generation(base: Path) -> None:
    """Tell which settings of `generate` no published policy will have, since transformers would refuse to save them."""
    from transformers import GenerationConfig

    from data_gen.models.generation import mended

    if (base / "generation_config.json").is_file():
        _, dropped = mended(GenerationConfig.from_pretrained(base))
        if dropped:
            print(
                f"model: published policies leave out {', '.join(dropped)} of generation_config.json, which contradict "
                "its other fields: transformers would refuse to save them.",
                flush=True,
            )


def _self_check(loaded: Any, config: ModelConfig) -> None:
    """Refuse a model that later stages would compute wrongly, and tell what they cannot do with it."""
    from reasoning_train.trainers.family_check import check_family

    try:
        lines = check_family(loaded)
    except UserError as error:
        if config.self_check == "stop":
            raise UserError(
                f"model: {error} With `self_check: tell` the model passes, for recipes that never run it here."
            ) from None
        lines = [str(error)]
    for line in lines:
        print(f"model: {line}", flush=True)


@model.check
def fits(config: ModelConfig, made: Made) -> Iterator[tuple[str, str]]:
    """The folder has a config and whole weights."""
    yield from unloadable("path", config.path)


@model.complete
def asked(config: ModelConfig, made: Made) -> ModelConfig:
    """A model from elsewhere is asked by its own template unless the recipe says otherwise. The date that a template
    may read is part of the key, and so is an adapter's base."""
    shape = config.format
    template = shape.template if config.init or "template" in shape.model_fields_set else "auto"
    date = shape.date or (DATE if template in ("auto", "chat") else "")
    return config.model_copy(
        update={
            "format": shape.model_copy(update={"template": template, "date": date}),
            "base": config.base or base_of(config),
        }
    )


@model.estimate
def size(config: ModelConfig, sizes: Sizes) -> dict[str, Any]:
    """The number of parameters: of a fresh model from its shape (tied embeddings, attention and the gated MLP), of
    others from their files, and of a Hub model that is not in the cache from its name."""
    if not (config.init and config.vocabulary):
        from reasoning_train.models.parameters import packaged_file, parameters_of, parameters_on_the_hub

        weights = packaged_file(config.gguf) if config.gguf else config.path
        known = (
            parameters_of(weights)
            if weights
            else parameters_on_the_hub(config.hub, config.revision)
            if config.hub
            else None
        )
        return {"parameters": known} if known else {}
    shape = config.init
    layer = 4 * shape.hidden_size**2 + 3 * shape.hidden_size * shape.intermediate_size + 2 * shape.hidden_size
    return {"parameters": shape.layers * layer + (2 * len(config.vocabulary) + 6) * shape.hidden_size}


def _fresh(config: ModelConfig, fmt: Format) -> Policy:
    from transformers import LlamaConfig, LlamaForCausalLM

    from reasoning_train.models.policy import Policy
    from reasoning_train.models.words import word_tokenizer

    assert config.init and config.vocabulary
    shape, tokenizer = config.init, word_tokenizer(config.vocabulary)
    llama = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=shape.max_length,
        rope_parameters={"rope_type": "default", "rope_theta": shape.rope_theta},
        initializer_range=shape.init_std,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return Policy(LlamaForCausalLM(llama), tokenizer, fmt, StepCodec(fmt, tokenizer))


def _served(config: ModelConfig, fmt: Format, out: Path) -> None:
    from transformers import AutoTokenizer

    from data_gen.models.tokenizer_check import check_tokenizer, loaded
    from reasoning_train.models.policy_text import save_served
    from reasoning_train.models.text_check import check_text

    assert isinstance(config.tokenizer, Path)
    check_tokenizer(config.tokenizer, "model.tokenizer")
    load = partial(AutoTokenizer.from_pretrained, local_files_only=True, trust_remote_code=False)
    tokenizer: Any = loaded(load, config.tokenizer, "model.tokenizer")
    context = config.context or tokenizer.model_max_length
    if context > 10**9:  # transformers' placeholder for an unknown length
        raise UserError(
            f"model.context: the tokenizer in {config.tokenizer} does not say how long a sequence may be; give "
            "`context`."
        )
    codec = StepCodec(fmt, tokenizer)
    check_text(codec)
    save_served(out, tokenizer, codec.format, name=config.served or "", context=context)
