"""Bytes that a process holds per weight of its model, by use, precision and ZeRO stage."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class WeightBytes:
    """Bytes that a process on a GPU holds per weight of its model, such as `WeightBytes(optimizer=8, gradient=4,
    weight=4, copies=2)`."""

    optimizer: float = 0
    """Sharded by ZeRO-1 and above."""
    gradient: float = 0
    """Sharded by ZeRO-2 and above."""
    weight: float = 2
    """Sharded by ZeRO-3. The default is bfloat16."""
    copies: float = 0
    """Never sharded: autocast's copies and a reference model."""

    def each(self, zero: int, world: int) -> float:
        """Bytes per weight in each of `world` processes under this ZeRO stage."""
        sharded = zip((self.optimizer, self.gradient, self.weight), (1, 2, 3), strict=True)
        return sum(held / (world if zero >= stage else 1) for held, stage in sharded) + self.copies


SCORED = WeightBytes(weight=4, copies=2)
"""A float32 model that runs forward passes under autocast, as training does."""


def optimizer_bytes(zero: int | None) -> int:
    """Bytes that the optimizer holds per trained float32 weight: AdamW's two moments and, if ZeRO shards them,
    DeepSpeed's own copy of the weight. `zero`: the ZeRO stage, None without DeepSpeed."""
    return 12 if zero else 8


@dataclass(frozen=True, slots=True)
class Trained:
    """How a model is trained, for memory accounting: `Trained(zero=2, half=True)`. Adapters on 4 bits are
    `Trained(zero=None, half=True, adapters=True, bits=4)`."""

    zero: int | None
    """The ZeRO stage, None without DeepSpeed."""
    half: bool
    """Passes compute in bfloat16."""
    adapters: bool = False
    """Only adapters are trained. They are small compared with the frozen weights."""
    bits: int | None = None
    """Bits per frozen weight below adapters if it is quantised."""
    recomputed: bool = False
    """Layers are recomputed in the backward pass."""

    @property
    def held(self) -> WeightBytes:
        """Bytes of AdamW's two moments, gradient and weight in float32, and of autocast's bfloat16 copy, which a pass
        keeps unless ZeRO-3 shards weights and layers are recomputed."""
        cast = 2 * (self.half and not (self.recomputed and self.zero == 3))
        if not self.adapters:
            return WeightBytes(optimizer=optimizer_bytes(self.zero), gradient=4, weight=4, copies=cast)
        if self.zero is not None:
            return WeightBytes(weight=4, copies=cast)
        return WeightBytes(weight=self.bits / 8 if self.bits else 2 if self.half else 4)

    def added(self, copies: int = 0) -> WeightBytes:
        """Bytes that training adds to loaded float32 weights. `copies`: further float32 weights (an average)."""
        return WeightBytes(optimizer=optimizer_bytes(self.zero), gradient=4, weight=0, copies=4 * copies)

    def held_in_rl(self, *, reference: bool, vllm: bool) -> WeightBytes:
        """Bytes per weight under TRL. With DeepSpeed the weights are bfloat16 and the optimizer also holds float32
        weights. A model that is trained whole needs a separate `reference`. TRL merges adapters into float32 weights
        for vLLM."""
        native = self.zero is not None and self.half
        if self.adapters:
            held = WeightBytes() if native else replace(self, zero=None).held
            return replace(held, weight=4, copies=2 * self.half) if vllm else held
        if native:
            return WeightBytes(optimizer=12, gradient=2, weight=2, copies=2 * reference)
        return replace(self.held, copies=self.held.copies + (4 + self.held.copies) * reference)

    def added_in_rl(self, *, reference: bool) -> WeightBytes:
        """Bytes that training under TRL adds to loaded float32 weights. DeepSpeed's bfloat16 frees two of four bytes.
        Autocast also copies the reference."""
        if self.zero is not None and self.half and not self.adapters:
            return WeightBytes(optimizer=12, gradient=2, weight=-2, copies=2 * reference)
        return replace(self.added(), copies=(4 + 2 * self.half) * reference)
