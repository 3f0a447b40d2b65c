"""`sft`: supervised fine-tuning on solutions, loss on the completion only, full or LoRA/QLoRA, packed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from reasoning_train.inputs import read_solutions
from reasoning_train.recipe.refs import ModelRef, ProblemsRef, SolutionsRef, Unkeyed
from reasoning_train.stage_api import Context, Sizes, StageConfig, gate, stage

if TYPE_CHECKING:
    from transformers import TrainingArguments

    from reasoning_train.models.policy import Policy


class Until(BaseModel):
    """Stop as soon as greedy accuracy on `problems` reaches `greedy`, looked at every `every` steps from step `start`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    problems: ProblemsRef
    greedy: float = Field(gt=0, le=1)
    every: int = Field(20, ge=1)
    start: int = Field(0, ge=0)
    limit: int = Field(200, ge=1)
    """How many problems of the split are looked at."""
    max_tokens: int = 128


class Lora(BaseModel):
    """Low-rank adapters on all linear layers. `bits: 4` loads the base in 4 bits (QLoRA; needs a GPU and bitsandbytes)."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    r: int = 16
    alpha: int = 32
    dropout: float = 0.0
    bits: Literal[4] | None = None


class SFTConfig(StageConfig):
    """What is trained on what, and how long."""

    policy: ModelRef
    data: SolutionsRef
    learning_rate: float = Field(gt=0)
    batch_size: int = Field(32, ge=1)
    """Solutions per optimizer step, whatever the packing, micro-batch or number of processes."""
    epochs: float | None = Field(None, gt=0)
    max_steps: int | None = Field(None, ge=1)
    until: Until | None = None
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    warmup_steps: int = 0
    weight_decay: float = 0.0
    adam_beta2: float = 0.999
    max_grad_norm: float = 1.0
    lora: Lora | None = None
    adapter: Literal["merge", "keep"] = "merge"
    packing: Annotated[bool, Unkeyed()] = True
    pack_to: Annotated[int, Unkeyed()] = 256
    """Columns of a packed row; longer solutions get a row of their own."""
    max_length: int | None = None
    """Longer rows are dropped and counted; default: the model's context."""
    max_dropped: float = Field(0.05, ge=0, le=1)
    """Largest share of rows that may be dropped before the stage refuses to train."""
    min_rows: int = 1
    micro_tokens: Annotated[int, Unkeyed()] = 8192
    """Most tokens in one forward pass."""
    gradient_checkpointing: Annotated[bool, Unkeyed()] = False
    save_every: Annotated[int, Unkeyed()] = 200
    """Steps between checkpoints to resume from."""
    report_to: Annotated[list[str], Unkeyed()] = []
    """`tensorboard`, `wandb`, `trackio`; curves are always in the manifest."""


@stage("sft", version=1, outputs={"model": "model"})
def sft(config: SFTConfig, ctx: Context) -> None:
    """Train, then publish the policy with its Format (adapters merged unless `adapter: keep`)."""
    from reasoning_train.models.policy import load_policy, save_policy
    from reasoning_train.trainers.base import SealCheckpoints, train
    from reasoning_train.trainers.until import StopWhenGood

    policy = load_policy(ctx.input(config.policy).path, **_load_options(config))
    steps = _steps(config, policy, ctx)
    if config.lora:
        policy.model = _with_adapters(policy.model, config.lora)
    # Event files belong beside the weights, as on the Hub; the trainer's own folder is gone once the stage closes.
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(ctx.output("model") / "runs")
    stopper = StopWhenGood(config.until, policy, ctx) if config.until else None
    callbacks = [SealCheckpoints(ctx.history, ctx.progress), *([stopper] if stopper else [])]
    trainer = train(policy.model, steps, _arguments(config, ctx), callbacks)
    ctx.metric("steps", trainer.state.global_step)
    if stopper and config.until:
        gate(
            stopper.reached is not None,
            f"sft: greedy accuracy on dev did not reach until.greedy={config.until.greedy} in {trainer.state.global_step} steps "
            f"(last: {stopper.last:.3f}). Raise `max_steps`, lower the bar, or change `learning_rate`.",
        )
    if config.lora and config.adapter == "merge":
        policy.model = policy.model.merge_and_unload()
    save_policy(policy, ctx.output("model"))


@sft.estimate
def cost(config: SFTConfig, sizes: Sizes) -> dict[str, Any]:
    """Looks at dev to the token limit, and the memory of weights, gradients and optimizer."""
    from reasoning_train.memory import training_bytes

    parameters, result = sizes(config.policy).get("parameters"), dict[str, Any]()
    if parameters:
        result |= {"parameters": parameters, "memory_bytes": training_bytes(parameters, 0.02 if config.lora else 1.0)}
    if config.until and config.max_steps:
        looks = (config.max_steps - config.until.start) // config.until.every + 1
        calls = looks * min(config.until.limit, sizes(config.until.problems).get("rows", config.until.limit))
        result |= {"calls": calls, "tokens": calls * config.until.max_tokens}
    return result


def _steps(config: SFTConfig, policy: Policy, ctx: Context):  # type: ignore[no-untyped-def]  # Steps needs torch
    from reasoning_train.trainers.base import Steps
    from reasoning_train.trainers.encode import encode_solutions
    from reasoning_train.trainers.step_plan import plan_steps

    limit = min(config.max_length or policy.context, policy.context)
    encoded = encode_solutions(read_solutions(ctx.input(config.data)), policy.codec, limit)
    lengths = sorted(len(row.ids) for row in encoded.rows) or [0]
    dropped, kept = encoded.too_long + encoded.cut, len(encoded.rows)
    ctx.count("in", kept + dropped + encoded.weightless)
    ctx.count("out", kept)
    ctx.count("dropped.too_long", encoded.too_long)
    ctx.count("dropped.cut_by_length_limit", encoded.cut)
    if encoded.weightless:
        ctx.count("dropped.weight_0", encoded.weightless)
    ctx.metric("length_quantiles", {f"p{q}": lengths[min(len(lengths) - 1, q * len(lengths) // 100)] for q in (50, 90, 99, 100)})
    gate(
        kept >= config.min_rows,
        f"sft: {kept} rows to train on, fewer than min_rows={config.min_rows} ({dropped} dropped). Sample more, or lower `min_rows`.",
    )
    gate(
        dropped <= config.max_dropped * (kept + dropped),
        f"sft: {dropped} of {kept + dropped} rows dropped ({encoded.too_long} over max_length={limit} tokens, "
        f"{encoded.cut} cut when sampled), more than max_dropped={config.max_dropped}. "
        "Raise `max_length` or the sampling's `max_tokens`, or select only whole solutions.",
    )
    plan = plan_steps(kept, config.batch_size, epochs=config.epochs, max_steps=config.max_steps, seed=ctx.seed)
    pad = policy.tokenizer.pad_token_id if policy.tokenizer.pad_token_id is not None else policy.codec.end_id
    return Steps(encoded.rows, plan, pad, packing=config.packing, capacity=min(config.pack_to, limit), tokens=config.micro_tokens)


def _arguments(config: SFTConfig, ctx: Context) -> TrainingArguments:
    from transformers import TrainingArguments

    return TrainingArguments(
        output_dir=str(ctx.partial / "trainer"),
        per_device_train_batch_size=1,  # one item is one whole optimizer step
        num_train_epochs=1,
        learning_rate=config.learning_rate,
        lr_scheduler_type={"constant": "constant_with_warmup"}.get(config.schedule, config.schedule),
        warmup_steps=config.warmup_steps,
        weight_decay=config.weight_decay,
        adam_beta2=config.adam_beta2,
        max_grad_norm=config.max_grad_norm,
        gradient_checkpointing=config.gradient_checkpointing,
        logging_steps=10,
        save_steps=config.save_every,
        save_total_limit=2,
        seed=ctx.seed,
        data_seed=ctx.seed,
        report_to=config.report_to or "none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
        use_cpu=not _has_gpu(),
    )


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _load_options(config: SFTConfig) -> dict:
    if not (config.lora and config.lora.bits):
        return {}
    gate(_has_gpu(), "sft: lora.bits=4 (QLoRA) needs a CUDA device; this machine has none. Leave `bits` out to train plain LoRA.")
    from transformers import BitsAndBytesConfig

    return {"quantization_config": BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")}


def _with_adapters(model, lora: Lora):  # type: ignore[no-untyped-def]  # peft and torch load late
    from peft import LoraConfig, get_peft_model

    options = LoraConfig(r=lora.r, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules="all-linear", task_type="CAUSAL_LM")
    return get_peft_model(model, options)
