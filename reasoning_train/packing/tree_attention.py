"""Forest attention for unchanged transformers models, registered through transformers' attention interface.

    attention = forest_attention(model)                        # switches the model: gather on a CPU, flex on CUDA
    batch = {..., **attention.tensors(forests, width)}         # in the data loader
    model(input_ids, position_ids, use_cache=False, **attention.arguments(batch))

Without a forest the registered implementation does the same as `sdpa`, so that a model in training can generate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from data_gen.checkpoints import unwrapped
from data_gen.errors import UserError
from data_gen.models.windows import layer_windows
from reasoning_train.packing import flex, varlen
from reasoning_train.packing.ancestry import Ancestry, ancestry
from reasoning_train.packing.batch import Batch
from reasoning_train.packing.gather import Call, Gathering, attend, gathering
from reasoning_train.packing.scores import scored
from reasoning_train.packing.tiles import Tiles, tiles

if TYPE_CHECKING:
    import torch

    from reasoning_train.packing.forest import Forest

NAME = "forest"
"""Name of the attention implementation that is registered with transformers."""
Backend = Literal["dense", "gather", "flex", "varlen"]
Attend = Callable[..., "torch.Tensor"]


@dataclass(frozen=True, slots=True)
class ForestAttention:
    """How a model attends in packed forests: `ForestAttention("gather", (None,))`, or `ForestAttention("gather", (4096,
    None))` for Gemma 2."""

    backend: Backend
    """`gather`: SDPA over gathered keys. `flex`: FlexAttention. `dense`: SDPA with a mask of all pairs, the reference
    for the others. `varlen`: FlashAttention, for sequence packing."""
    windows: tuple[int | None, ...]
    """Distinct attention windows of the model's layers; None for full attention."""

    def tensors(self, forests: Sequence[Forest], width: int) -> Batch:
        """Tensors for a batch of packed rows of `width` columns, under names that begin with `forest.`."""
        if self.backend == "varlen":
            return {"forest.starts": varlen.starts(forests, width)}
        if self.backend != "gather":
            known = ancestry(forests, width)
            made = {"forest.enter": known.enter, "forest.leave": known.leave, "forest.depth": known.depth}
            for window in self.windows if self.backend == "flex" else ():
                made |= tiles(forests, width, window).named(f"forest.{window}")
            return made
        deepest = max(run.depth + len(run.ids) for forest in forests for run in forest.runs)
        needed = dict.fromkeys(window if window is not None and window < deepest else None for window in self.windows)
        return {
            name: tensor
            for window in needed
            for name, tensor in _written(window, gathering(forests, width, window)).items()
        }

    def arguments(self, batch: Batch) -> dict[str, Any]:
        """Keyword arguments of the model's forward pass. The batch must be on the model's device."""
        import torch

        # Models leave a mask of four dimensions alone; without one they would build a mask of all pairs.
        mask = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=batch["input_ids"].device)
        return {"attention_mask": mask, "forest": {window: self._attend(batch, window) for window in self.windows}}

    def _attend(self, batch: Batch, window: int | None) -> Attend:
        if self.backend == "gather":
            return partial(attend, _read(batch, window if f"forest.{window}.home" in batch else None))
        if self.backend == "varlen":
            return partial(varlen.attend, batch["forest.starts"], varlen.longest(batch["forest.starts"]), window)
        known = Ancestry(batch["forest.enter"], batch["forest.leave"], batch["forest.depth"])
        if self.backend == "flex":
            return partial(flex.attend, flex.block_mask(known, Tiles.of(batch, f"forest.{window}"), window))
        return partial(_dense, known.pairs(window)[:, None])


def _dense(mask: torch.Tensor, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, **how: Any) -> torch.Tensor:
    return scored(query, key, value, mask, **how).transpose(1, 2)


def _written(window: int | None, gathered: Gathering) -> Batch:
    tensors = {"home": gathered.home}
    for n, call in enumerate(gathered.calls):
        tensors |= {f"{n}.queries": call.queries, f"{n}.keys": call.keys, f"{n}.mask": call.mask}
    return {f"forest.{window}.{name}": tensor for name, tensor in tensors.items()}


def _read(batch: Batch, window: int | None) -> Gathering:
    at, calls = f"forest.{window}", list[Call]()
    while f"{at}.{len(calls)}.keys" in batch:
        calls.append(Call(*(batch[f"{at}.{len(calls)}.{name}"] for name in ("queries", "keys", "mask"))))
    return Gathering(tuple(calls), batch[f"{at}.home"])


def forest_attention(model: Any, backend: Backend | None = None) -> ForestAttention:
    """Switch `model` (a transformers model, bare or with adapters) to forest attention, which is used when it is given
    a forest.

    backend: None chooses FlexAttention on CUDA, gathered keys elsewhere. UserError for models in whose layers packed
    rows would see each other.
    """
    inner = unwrapped(model)
    windows = _windows(inner)
    if backend is None:
        drops = bool(getattr(inner.config, "attention_dropout", 0))  # FlexAttention has no dropout
        backend = "flex" if inner.device.type == "cuda" and flex.available() and not drops else "gather"
    _register()
    inner.set_attn_implementation(NAME)
    return ForestAttention(backend, windows)


def row_attention(model: Any, *, bf16: bool) -> ForestAttention | None:
    """Switch `model` to FlashAttention for sequence packing; None if it is not available here or does not fit the
    model.

    `bf16`: passes compute in bfloat16, whatever the type of the weights.
    """
    inner = unwrapped(model)
    return forest_attention(inner, "varlen") if varlen.available(inner, bf16=bf16) else None


def _windows(model: Any) -> tuple[int | None, ...]:
    """Distinct windows of the model's layers."""
    if model._is_stateful or not model._supports_attention_backend:
        raise UserError(
            f"A {model.config.model_type!r} model cannot be trained on packed trees: it has an attention of its own, "
            "in which branches would see each other. Train a model of full or sliding-window attention."
        )
    return tuple(dict.fromkeys(layer_windows(model.config).values()))


def _register() -> None:
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, _forest_attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)


def _forest_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    forest: Mapping[int | None, Attend] | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """The attention function for transformers; query [B, H, T, D], output [B, T, H, D]."""
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if forest is not None:
        odd = [name for name in ("s_aux", "position_bias", "cache") if others.get(name) is not None]
        if odd or sliding_window not in forest:
            what = ", ".join(odd) or f"window {sliding_window}"
            raise UserError(
                f"{type(module).__name__} cannot attend in packed trees ({what}). Do not pack trees (set `packing: "
                "none`)."
            )
        return forest[sliding_window](*_cast(query, key, value), scale=scale, softcap=softcap, dropout=dropout), None
    if attention_mask is not None and attention_mask.shape[-1] < key.shape[2]:
        raise UserError(
            f"{type(module).__name__} did not get the forest of packed rows: the layers of this family drop keyword "
            "arguments. Leave tree packing out (`packing: sequence`)."
        )
    if softcap is not None:
        return _capped(query, key, value, attention_mask, scale=scale, softcap=softcap, dropout=dropout), None
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    return sdpa_attention_forward(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **others)


def _cast(*states: torch.Tensor) -> Iterator[torch.Tensor]:
    """Cast to autocast's type. Queries and keys come out of the rotary embedding in float32, because autocast does not
    cover it."""
    import torch

    device = states[0].device.type
    return (x.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else x for x in states)


def _capped(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, **how: Any
) -> torch.Tensor:
    """Attention without a forest for families that cap scores. Without a mask it is causal, or for a single new token
    sees the whole cache."""
    if mask is None and query.shape[2] == 1:
        mask = query.new_ones(1, 1, 1, 1).bool()
    if mask is not None and mask.is_floating_point():  # the engine's: 0 where a token may attend
        mask = mask >= 0
    return scored(query, key, value, mask, **how).transpose(1, 2).contiguous()
