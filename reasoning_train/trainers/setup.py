"""What every trainer stage shares: its settings, adapters and arguments."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from data_gen.errors import UserError
from data_gen.registry import Unkeyed
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import Context, Sizes, StageConfig, WeightBytes, at_most, gate
from reasoning_train.recipe.includes import CHECKOUT

if TYPE_CHECKING:
    from transformers import TrainingArguments

    from reasoning_train.models.policy import Policy


class Lora(BaseModel):
    """Low-rank adapters on all linear layers. `bits: 4` loads the base in 4 bits (QLoRA; needs a GPU and the extra
    `qlora`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    r: int = 16
    alpha: int = 32
    dropout: float = 0.0
    bits: Literal[4] | None = None


Precision = Literal["auto", "float32", "bfloat16"]
"""What passes compute in; `auto`: bfloat16 on a GPU that has it, float32 elsewhere. Weights that are trained, gradients
and the optimizer's states are float32 whatever it is: in bfloat16 most weights would not move at a learning rate of
1e-6."""


class Optimising(StageConfig):
    """How long and how fast: the fields of every trainer."""

    learning_rate: float = Field(gt=0)
    batch_size: int = Field(32, ge=1)
    """Rows (solutions, pairs, groups) per optimizer step, whatever the packing, micro-batch or number of processes."""
    epochs: float | None = Field(None, gt=0)
    max_steps: int | None = Field(None, ge=1)
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    warmup_steps: int = 0
    weight_decay: float = 0.0
    adam_beta2: float = 0.999
    max_grad_norm: float = 1.0
    lora: Lora | None = None
    precision: Precision = "auto"
    """`bfloat16`: autocast; what is trained so is published in bfloat16."""
    max_length: int | None = None
    """Longer rows are dropped and counted; default: the model's context."""
    max_dropped: float = Field(0.05, ge=0, le=1)
    """Largest share of rows that may be dropped before the stage refuses to train."""
    min_rows: int = Field(1, ge=1)
    micro_tokens: Annotated[int, Unkeyed()] = 8192
    """Most tokens in one forward pass."""
    gradient_checkpointing: Annotated[bool, Unkeyed()] = False
    save_every: Annotated[int, Unkeyed()] = 200
    """Steps between checkpoints to resume from."""
    report_to: Annotated[list[Literal["tensorboard", "wandb", "trackio"]], Unkeyed()] = []
    """Where curves go beside the report, which always has them; TensorBoard's lie in the published model's `runs/`, as
    on the Hub."""

    def placement_problems(self, world: int, deepspeed: str | None) -> Iterator[str]:
        """DeepSpeed takes weights of one type."""
        if deepspeed and self.lora and self.lora.bits:
            yield (
                f"lora.bits: weights in 4 bits cannot be sharded (resources.deepspeed={deepspeed!r}). Leave "
                "`deepspeed` out: adapters are "
                "small enough for plain data parallelism; or leave `bits` out."
            )

    def weight_bytes(self, deepspeed: str | None) -> WeightBytes:
        """AdamW's two moments, gradient and weight in float32, and the copy in bfloat16 that a pass keeps, unless
        ZeRO-3 shards weights and layers are recomputed. Adapters are small beside the weights that they leave as they
        are."""
        recast = self.precision != "float32" and not (self.gradient_checkpointing and zero_stage(deepspeed) == 3)
        if not self.lora:
            return WeightBytes(optimizer=optimizer_bytes(deepspeed), gradient=4, weight=4, copies=2 * recast)
        if deepspeed:
            return WeightBytes(weight=4, copies=2 * recast)
        return WeightBytes(weight=self.lora.bits / 8 if self.lora.bits else 4 if self.precision == "float32" else 2)


def optimizer_bytes(deepspeed: str | None) -> int:
    """Bytes held for each trained float32 weight: AdamW's two moments and, where ZeRO shards them, DeepSpeed's own copy
    of the weight."""
    return 12 if zero_stage(deepspeed) else 8


class HeldOut(BaseModel):
    """Rows of some problems that are not trained on but evaluated: `held_out: {share: 0.1, every: 50, patience: 3}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    share: float = Field(0.1, gt=0, lt=1)
    """Share of the problems that is held out."""
    every: int = Field(50, ge=1)
    """Steps between two evaluations; there is always one after the last step."""
    patience: int | None = Field(None, ge=1)
    """Training stops after so many evaluations in a row without a lower loss; None: never before its end."""
    keep: Literal["best", "last"] = "best"
    """Which weights are published: those of the lowest loss, or the last ones."""


class Training(Optimising):
    """With how rows are packed, held out and averaged over."""

    ema: float | None = Field(None, gt=0, lt=1)
    """Decay of an exponential moving average over the steps, which is published instead of the last weights (0.99,
    0.999)."""
    held_out: HeldOut | None = None

    pack_to: Annotated[int, Unkeyed()] = 256
    """Columns of a packed row; longer rows get one of their own."""

    def placement_problems(self, world: int, deepspeed: str | None) -> Iterator[str]:
        """`ema` and `held_out` handle whole weights."""
        yield from super().placement_problems(world, deepspeed)
        wanted = "ema" if self.ema else "held_out" if self.held_out else ""
        if wanted and zero_stage(deepspeed) == 3:
            yield (
                f"{wanted}: needs whole weights on every process, which ZeRO-3 (resources.deepspeed={deepspeed!r}) "
                "cuts up. Use zero2, or "
                f"leave `{wanted}` out."
            )


def use_bf16(precision: Precision) -> bool:
    """Whether passes compute in bfloat16 here."""
    import torch

    return precision == "bfloat16" or (
        precision == "auto" and has_gpu() and torch.cuda.is_bf16_supported(including_emulation=False)
    )


def load_options(config: Optimising, name: str, deepspeed: str | None) -> dict[str, Any]:
    """Keyword arguments of `from_pretrained`: float32 for what is trained, less for what stays as it is below
    adapters."""
    import torch

    bf16 = use_bf16(config.precision)
    if not config.lora or (deepspeed and not config.lora.bits):  # DeepSpeed takes one type of weights
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
    """The model as it is trained: with adapters, with gradient checkpointing."""
    if config.lora:
        from peft import LoraConfig, get_peft_model

        lora = config.lora
        options = LoraConfig(
            r=lora.r,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )
        model = get_peft_model(model, options)
    if config.gradient_checkpointing:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model


def curves_into(runs: Path) -> None:
    """TensorBoard's go beside the weights, as on the Hub: the trainer's folder is gone once the stage closes."""
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(runs)


ROW_TOKENS = 1024
"""Tokens of a row where `max_length` says nothing, to tell an hour of training from a week."""


def training_cost(config: Optimising, policy: Ref, data: Sequence[Ref], sizes: Sizes) -> dict[str, Any]:
    """For `plan`: the memory of weights, gradients and optimizer, and at most how many tokens are trained on."""
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


def zero_stage(name: str | None) -> int:
    """The ZeRO stage of `resources.deepspeed`; 0 without one."""
    return int(deepspeed_config(name).get("zero_optimization", {}).get("stage", 0)) if name else 0


def deepspeed_config(name: str) -> dict[str, Any]:
    """The configuration that `resources.deepspeed` names: one of configs/deepspeed/, or a file."""
    path = CHECKOUT / "configs" / "deepspeed" / f"{name}.json"
    if not path.is_file():
        path = Path(name)
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise UserError(
            f"resources.deepspeed: {name!r} is none of zero0, zero1, zero2, zero3 and no JSON file ({error})."
        ) from error


def pad_id(policy: Policy) -> int:
    """The tokenizer's pad, else its end: masks go by column, so either does."""
    pad = policy.tokenizer.pad_token_id
    return policy.codec.end_id if pad is None else int(pad)


def arguments(config: Training, ctx: Context) -> TrainingArguments:
    """The arguments of `transformers.Trainer`."""
    from transformers import TrainingArguments

    one_item_is_one_step: dict[str, Any] = {"per_device_train_batch_size": 1, "num_train_epochs": 1}
    return TrainingArguments(**one_item_is_one_step, **settings(config, ctx))


def settings(config: Optimising, ctx: Context) -> dict[str, Any]:
    """What training arguments of every kind have in common."""
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
    """What this process trains under."""
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
            "torchrun --nproc 2`, or "
            "the stage with `torchrun --nproc-per-node 2 -m reasoning_train.stage RECIPE STAGE`."
        )
    if not has_gpu():
        _compile_nothing()
    return deepspeed_config(name)


def _compile_nothing() -> None:
    """On a CPU, DeepSpeed compiles an all-reduce in shared memory, under a lock file for which every later process
    waits for ever if the first is killed meanwhile. gloo does the same without."""
    import deepspeed
    from deepspeed.ops.op_builder.cpu.comm import ShareMemCommBuilder

    deepspeed.ops.__compatible_ops__[ShareMemCommBuilder.NAME] = False


def has_gpu() -> bool:
    """Whether there is a CUDA device."""
    import torch

    return torch.cuda.is_available()
