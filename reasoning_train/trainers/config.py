"""Config fields of every trainer: duration, learning rate, precision and when to stop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from data_gen.registry import Unkeyed
from reasoning_train.api.refs import ProblemsRef
from reasoning_train.api.stage import Gate, StageConfig
from reasoning_train.process.memory.weights import Trained, WeightBytes
from reasoning_train.trainers.deepspeed import zero_stage


class Lora(BaseModel):
    """Low-rank adapters on all linear layers, those of experts among them. `bits: 4` loads the base in 4 bits (QLoRA;
    needs a GPU and the extra `qlora`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    r: int = Field(16, ge=1, le=65_536)
    alpha: int = Field(32, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    bits: Literal[4] | None = None


Precision = Literal["auto", "float32", "bfloat16"]
"""Precision of forward and backward passes. `auto` is bfloat16 on a GPU that supports it, else float32. Trained
weights, gradients and optimizer states are always float32: in bfloat16 most weights would not move at a learning rate
of 1e-6."""


class Optimising(StageConfig):
    """Optimization fields of every trainer."""

    learning_rate: float = Field(gt=0, le=100)
    batch_size: int = Field(32, ge=1, le=1_000_000)
    """Rows (solutions, pairs, groups) per optimizer step, for any packing, micro-batch or number of processes."""
    epochs: float | None = Field(None, gt=0, le=1_000_000)
    max_steps: int | None = Field(None, ge=1)
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    warmup_steps: int = Field(0, ge=0)
    weight_decay: float = Field(0.0, ge=0, le=1)
    adam_beta2: float = Field(0.999, ge=0, lt=1)
    max_grad_norm: float = Field(1.0, ge=0)
    """0: gradients are not clipped."""
    lora: Lora | None = None
    precision: Precision = "auto"
    """`bfloat16` trains under autocast and publishes the model in bfloat16."""
    max_length: int | None = Field(None, ge=2)
    """Most tokens of a row. Longer rows are dropped and counted. The default is the model's context."""
    max_dropped: Annotated[float, Gate()] = Field(0.05, ge=0, le=1)
    """Largest share of rows that may be dropped before the stage refuses to train."""
    min_rows: Annotated[int, Gate()] = Field(1, ge=1)
    micro_tokens: Annotated[int, Unkeyed()] = Field(8192, ge=1)
    """Most tokens in one forward pass."""
    gradient_checkpointing: Annotated[bool, Unkeyed()] = False
    save_every: Annotated[int, Unkeyed()] = Field(200, ge=1)
    """Steps between checkpoints to resume from."""
    report_to: Annotated[list[Literal["tensorboard", "wandb", "trackio"]], Unkeyed()] = []
    """Where curves go besides the report, which always has them. TensorBoard files are in the published model's
    `runs/`, as on the Hub."""

    def placement_problems(self, world: int, deepspeed: str | None) -> Iterator[str]:
        """DeepSpeed needs all weights in one type, so it excludes 4 bits."""
        if deepspeed and self.lora and self.lora.bits:
            yield (
                f"lora.bits: weights in 4 bits cannot be sharded (resources.deepspeed={deepspeed!r}). Leave "
                "`deepspeed` out: adapters are small enough for plain data parallelism; or leave `bits` out."
            )

    def trained(self, deepspeed: str | None) -> Trained:
        """How the model is trained, for memory accounting."""
        return Trained(
            zero=zero_stage(deepspeed) if deepspeed else None,
            half=self.precision != "float32",
            adapters=self.lora is not None,
            bits=self.lora.bits if self.lora else None,
            recomputed=self.gradient_checkpointing,
        )

    def weight_bytes(self, deepspeed: str | None) -> WeightBytes:
        """Bytes that a GPU holds per weight."""
        return self.trained(deepspeed).held


class HeldOut(BaseModel):
    """Problems whose rows are evaluated instead of trained on: `held_out: {share: 0.1, every: 50, patience: 3}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    share: float = Field(0.1, gt=0, lt=1)
    """Share of the problems that are held out."""
    every: int = Field(50, ge=1)
    """Steps between two evaluations; there is always one after the last step."""
    patience: int | None = Field(None, ge=1)
    """Training stops after this many evaluations in a row without a lower loss. None: it never stops early."""
    keep: Literal["best", "last"] = "best"
    """Which weights are published: those with the lowest loss, or the last ones."""


class Training(Optimising):
    """Adds packing, held-out rows and weight averaging to `Optimising`."""

    ema: float | None = Field(None, gt=0, lt=1)
    """Decay of an exponential moving average of the weights, such as 0.99. The average is published instead of the last
    weights."""
    held_out: HeldOut | None = None

    pack_to: Annotated[int, Unkeyed()] = Field(256, ge=1)
    """Tokens per packed row. A longer training row gets a packed row of its own."""

    def placement_problems(self, world: int, deepspeed: str | None) -> Iterator[str]:
        """`ema` and `held_out` need whole weights, which excludes ZeRO-3."""
        yield from super().placement_problems(world, deepspeed)
        wanted = "ema" if self.ema else "held_out" if self.held_out else ""
        if wanted and zero_stage(deepspeed) == 3:
            yield (
                f"{wanted}: needs whole weights on every process, which ZeRO-3 (resources.deepspeed={deepspeed!r}) "
                f"shards. Use zero2, or leave `{wanted}` out."
            )


class Until(BaseModel):
    """Stop as soon as greedy decoding of `problems` reaches `accuracy`, measured every `every` steps from step `start`
    on."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    problems: ProblemsRef
    accuracy: float = Field(gt=0, le=1)
    every: int = Field(20, ge=1)
    start: int = Field(0, ge=0)
    limit: int = Field(200, ge=1)
    """Number of problems that are evaluated."""
    max_tokens: int = Field(128, ge=1)
