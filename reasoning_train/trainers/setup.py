"""What all trainer stages share: loading and preparing a model, training arguments, and cost estimates."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_gen.errors import UserError
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import Context, Sizes, at_most, gate
from reasoning_train.process.ranks import rank
from reasoning_train.trainers.config import Optimising, Precision, Training
from reasoning_train.trainers.deepspeed import deepspeed_config
from reasoning_train.trainers.lora import with_adapters

if TYPE_CHECKING:
    from transformers import TrainingArguments

    from reasoning_train.models.policy import Policy


def use_bf16(precision: Precision) -> bool:
    """Whether passes compute in bfloat16 on this machine."""
    import torch

    return precision == "bfloat16" or (
        precision == "auto" and has_gpu() and torch.cuda.is_bf16_supported(including_emulation=False)
    )


def load_options(config: Optimising, name: str, deepspeed: str | None) -> dict[str, Any]:
    """Keyword arguments of `from_pretrained`: float32 for trained weights, lower precision for frozen weights below
    adapters."""
    import torch

    bf16 = use_bf16(config.precision)
    if not config.lora or (deepspeed and not config.lora.bits):  # DeepSpeed needs all weights in one type
        return {"dtype": torch.float32}
    if not config.lora.bits:
        return {"dtype": torch.bfloat16 if bf16 else torch.float32}
    gate(
        has_gpu(),
        f"{name}: lora.bits=4 (QLoRA) needs a CUDA device; this machine has none. Leave `bits` out to train plain "
        "LoRA.",
    )
    gate(
        importlib.util.find_spec("bitsandbytes") is not None,
        f"{name}: lora.bits=4 (QLoRA) needs bitsandbytes. `pip install 'reasoning_train[qlora]'`, or leave `bits` out "
        "to train plain LoRA.",
    )
    from transformers import BitsAndBytesConfig

    dtype = torch.bfloat16 if bf16 else torch.float32
    quantised = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
    return {"dtype": dtype, "quantization_config": quantised}


def prepare(model: Any, config: Optimising) -> Any:
    """Add adapters and gradient checkpointing if the config asks for them."""
    if config.lora:
        model, bare = with_adapters(model, config.lora)
        if bare and rank() == 0:
            print(f"lora: no adapters on {', '.join(bare)}", flush=True)
    if config.gradient_checkpointing:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model


def curves_into(runs: Path) -> None:
    """Write TensorBoard files beside the weights, as on the Hub; the trainer's folder is deleted with the stage."""
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(runs)


ROW_TOKENS = 1024
"""Assumed tokens of a row if `max_length` is not set: enough to tell an hour of training from a week."""


def training_cost(config: Optimising, policy: Ref, data: Sequence[Ref], sizes: Sizes) -> dict[str, Any]:
    """Estimates for `plan`: memory of weights, gradients and optimizer, and an upper bound on trained tokens."""
    from reasoning_train.process.memory import training_bytes

    result: dict[str, Any] = {}
    if parameters := sizes(policy).get("parameters"):
        result |= {"parameters": parameters, "memory_bytes": training_bytes(parameters, 0.02 if config.lora else 1.0)}
    known, steps = [sizes(ref).get("rows") for ref in data], config.max_steps
    passed = (
        round((config.epochs or 1) * sum(n or 0 for n in known))
        if None not in known and (config.epochs or not steps)
        else None
    )
    if rows := at_most(passed, steps * config.batch_size if steps else None):
        result["trained_tokens"] = rows * (config.max_length or ROW_TOKENS)
    return result


def pad_id(policy: Policy) -> int:
    """The tokenizer's pad token, else its end token. Masks go by column, so either works. Tokenizers have pad tokens
    that the model has no row for."""
    pad, rows = policy.tokenizer.pad_token_id, policy.model.config.get_text_config().vocab_size
    return policy.codec.end_id if pad is None or pad >= rows else int(pad)


def arguments(config: Training, ctx: Context) -> TrainingArguments:
    """The arguments of `transformers.Trainer`."""
    from transformers import TrainingArguments

    one_item_is_one_step: dict[str, Any] = {"per_device_train_batch_size": 1, "num_train_epochs": 1}
    return TrainingArguments(**one_item_is_one_step, **settings(config, ctx))


def settings(config: Optimising, ctx: Context) -> dict[str, Any]:
    """Arguments common to all kinds of `TrainingArguments`."""
    return dict(
        output_dir=str(ctx.partial / "trainer"),
        learning_rate=config.learning_rate,
        lr_scheduler_type={"constant": "constant_with_warmup"}.get(config.schedule, config.schedule),
        warmup_steps=config.warmup_steps,
        weight_decay=config.weight_decay,
        adam_beta2=config.adam_beta2,
        max_grad_norm=config.max_grad_norm,
        logging_steps=10,
        save_steps=config.save_every,
        save_total_limit=2,
        seed=ctx.seed,
        data_seed=ctx.seed,
        report_to=_trackers(config) or "none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
        use_cpu=not has_gpu(),
        ddp_find_unused_parameters=False,
        deepspeed=_deepspeed(ctx.deepspeed),
    )


def _trackers(config: Optimising) -> list[str]:
    for name in config.report_to:
        if importlib.util.find_spec(name) is None:
            raise UserError(
                f"report_to: the package {name!r} is not installed here. `pip install {name}`, or leave it out of the "
                "list."
            )
    return list(config.report_to)


def _deepspeed(name: str | None) -> dict[str, Any] | None:
    """The DeepSpeed configuration of this process; None without DeepSpeed. UserError if it cannot be used here."""
    if name is None:
        return None
    if not has_gpu():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    if importlib.util.find_spec("deepspeed") is None:
        raise UserError(
            "resources.deepspeed: DeepSpeed is not installed here. `pip install 'reasoning_train[deepspeed]'`, or "
            "leave it out."
        )
    if "WORLD_SIZE" not in os.environ:
        raise UserError(
            f"resources.deepspeed is {name!r}, but this process was started alone. Run the recipe with `--launcher "
            "torchrun --nproc 2`, or the stage with `torchrun --nproc-per-node 2 -m reasoning_train.stage RECIPE "
            "STAGE`."
        )
    if not has_gpu():
        _compile_nothing()
    return deepspeed_config(name)


def _compile_nothing() -> None:
    """Keep DeepSpeed from compiling its shared-memory all-reduce on a CPU. If that process is killed, its lock file
    blocks every later process for ever. gloo does the same without compiling."""
    import deepspeed
    from deepspeed.ops.op_builder.cpu.comm import ShareMemCommBuilder

    deepspeed.ops.__compatible_ops__[ShareMemCommBuilder.NAME] = False


def has_gpu() -> bool:
    """Whether there is a CUDA device."""
    import torch

    return torch.cuda.is_available()
