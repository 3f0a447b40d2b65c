"""What a process holds of every weight of its model, by what it does with it, its precision, and how ZeRO cuts it
up."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class WeightBytes:
    """What a process on a GPU holds of every weight of its model, e.g. `WeightBytes(optimizer=8, gradient=4, weight=4,
    copies=2)`."""

    optimizer: float = 0
    """Sharded by ZeRO-1 and above."""
    gradient: float = 0
    """Sharded by ZeRO-2 and above."""
    weight: float = 2
    """Sharded by ZeRO-3; in bfloat16 by default."""
    copies: float = 0
    """Sharded by nothing: what a pass casts, and a reference."""

    def each(self, zero: int, world: int) -> float:
        """In each of `world` processes under this stage of ZeRO."""
        sharded = zip((self.optimizer, self.gradient, self.weight), (1, 2, 3), strict=True)
        return sum(held / (world if zero >= stage else 1) for held, stage in sharded) + self.copies


SCORED = WeightBytes(weight=4, copies=2)
"""A float32 model that reads under autocast, as a pass of a training does."""


def optimizer_bytes(zero: int | None) -> int:
    """Bytes that the optimizer holds of each trained float32 weight: AdamW's two moments and, where ZeRO shards them,
    DeepSpeed's own copy of the weight. `zero`: the stage of ZeRO, None without DeepSpeed."""
    return 12 if zero else 8


@dataclass(frozen=True, slots=True)
class Trained:
    """How a model is trained, as far as memory goes: `Trained(zero=2, half=True)`; adapters on 4 bits:
    `Trained(zero=None, half=True, adapters=True, bits=4)`."""

    zero: int | None
    """The stage of ZeRO, None without DeepSpeed."""
    half: bool
    """Passes compute in bfloat16."""
    adapters: bool = False
    """Only adapters are trained, which are small beside the weights that they leave as they are."""
    bits: int | None = None
    """Of the weights below adapters, where they are quantised."""
    recomputed: bool = False
    """Layers are recomputed in the backward pass."""

    @property
    def held(self) -> WeightBytes:
        """AdamW's two moments, gradient and weight in float32, and the copy in bfloat16 that a pass keeps, unless
        ZeRO-3 shards weights and layers are recomputed."""
        cast = 2 * (self.half and not (self.recomputed and self.zero == 3))
        if not self.adapters:
            return WeightBytes(optimizer=optimizer_bytes(self.zero), gradient=4, weight=4, copies=cast)
        if self.zero is not None:
            return WeightBytes(weight=4, copies=cast)
        return WeightBytes(weight=self.bits / 8 if self.bits else 2 if self.half else 4)

    def added(self, copies: int = 0) -> WeightBytes:
        """What training adds to float32 weights that are loaded; `copies`: further float32 weights (an average)."""
        return WeightBytes(optimizer=optimizer_bytes(self.zero), gradient=4, weight=0, copies=4 * copies)

    def held_in_rl(self, *, reference: bool, vllm: bool) -> WeightBytes:
        """Under TRL. With DeepSpeed weights are its own bfloat16 and the optimizer holds a float32 weight, too. A
        `reference` lies beside what is trained whole. TRL merges adapters for vLLM into float32 weights."""
        native = self.zero is not None and self.half
        if self.adapters:
            held = WeightBytes() if native else replace(self, zero=None).held
            return replace(held, weight=4, copies=2 * self.half) if vllm else held
        if native:
            return WeightBytes(optimizer=12, gradient=2, weight=2, copies=2 * reference)
        return replace(self.held, copies=self.held.copies + (4 + self.held.copies) * reference)

    def added_in_rl(self, *, reference: bool) -> WeightBytes:
        """What training under TRL adds to weights that are loaded in float32: DeepSpeed's bfloat16 leaves two of four
        bytes; a pass under autocast copies the reference, too."""
        if self.zero is not None and self.half and not self.adapters:
            return WeightBytes(optimizer=12, gradient=2, weight=-2, copies=2 * reference)
        return replace(self.added(), copies=(4 + 2 * self.half) * reference)
