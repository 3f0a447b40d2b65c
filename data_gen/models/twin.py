"""A small random model of the same family and settings as a large one, whose limits are passed within a few tokens.

Which positions attend to which depends on the class and on the config, not on the weights. So what a mask, a window or
a cache does to a 70B model can be tried on its twin in a fraction of a second.
"""

from __future__ import annotations

import contextlib
import copy
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

WINDOW, ORIGINAL, CONTEXT = 8, 24, 96
"""Limits of a twin in tokens, where the model's own are larger: of windows and chunks, of the length that a scaled
rotary embedding was trained for, and of the whole sequence."""
VOCAB, WIDTH, HEAD, EXPERTS, LAYERS = 64, 64, 16, 4, 4
SMALL = 3_000_000
"""A twin of at most this many weights keeps the model's own widths."""
LARGEST = 100_000_000
"""A family whose widths cannot be shrunk keeps its own up to this many weights."""

SHARED = "num_kv_shared_layers"
"""Field with the number of last layers that read keys and values of earlier ones."""

_WINDOW = re.compile(r"window|attention_chunk|^local_attention$|attn_chunk|chunk_size$")
_CONTEXT = re.compile(r"max_(position|seq|len|target_pos|source_pos)|^n_(positions|ctx)$|^seq_length$")
_EXPERTS = re.compile(r"num_(local_|routed_)?experts$|^n_routed_experts$|^moe_num_experts$")
_CHOSEN = re.compile(r"experts_per_tok|^moe_top_?k$|^top_k_experts$|^num_experts_per_token$|^moe_k$")
_INNER = re.compile(r"intermediate|ffn|inner|mlp_dim|mlp_hidden|expert_dim|lora_rank")


def twin(kind: Any, config: Any) -> Any:
    """A twin of the transformers model `kind(config)`, on the CPU, in float32 and evaluation mode.

    Any error of the family's own if no twin can be made.
    """
    kept = _shortened(config)
    if _weights(kind, kept) <= SMALL:
        return _built(kind, kept)
    try:
        narrow = _narrowed(kept)
        if _weights(kind, narrow) > LARGEST:
            raise ValueError("its widths cannot be shrunk")
        small = _built(kind, narrow)
        _try(small)
        return small
    except Exception:
        if _weights(kind, kept) > LARGEST:
            raise
        return _built(kind, kept)


def _try(model: Any) -> None:
    import torch

    with torch.inference_mode():
        model(input_ids=torch.arange(3, 7)[None], use_cache=False)


def _weights(kind: Any, config: Any) -> int:
    import torch

    with torch.device("meta"):
        return sum(p.numel() for p in kind(copy.deepcopy(config)).parameters())


def _built(kind: Any, config: Any) -> Any:
    """The model with weights wide enough that what one token sees changes its log-probabilities by much."""
    import torch

    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.manual_seed(0)
        dtype = torch.get_default_dtype()
        torch.set_default_dtype(torch.float32)
        try:
            model = kind(config).float().eval()
        finally:
            torch.set_default_dtype(dtype)
    embeddings = {id(p) for p in model.get_input_embeddings().parameters()}
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() >= 2:
                std = 1.0 if id(weight) in embeddings else 1.2 / math.sqrt(weight.shape[-1])
                weight.normal_(0, std, generator=generator)
    return model


def _shortened(config: Any) -> Any:
    """The config with low limits, few layers of every kind, a small vocabulary and few experts."""
    config = copy.deepcopy(config)
    for part in _parts(config):
        kept = _kept_layers(part)
        depth = _depth(part)
        for name, value in [*_fields(part)]:
            if depth and isinstance(value, list) and len(value) == depth:
                _set(part, name, [value[i] for i in kept])
            elif isinstance(value, Mapping) and "rope" in name:
                _set(part, name, _shorter_rope(value))
            elif _whole(value):
                _set(part, name, _limited(name, value))
        if depth:
            _set(part, "num_hidden_layers", len(kept))
            if _number(part, SHARED):
                _set(part, SHARED, len(kept) // 2)
    return config


def _limited(name: str, value: int) -> int:
    if name.endswith("token_id"):
        return min(value, 2)
    if "vocab_size" in name:
        return min(value, VOCAB)
    if "original_max" in name:
        return min(value, ORIGINAL)
    if _CONTEXT.search(name):
        return min(value, CONTEXT)
    if _WINDOW.search(name):
        return min(value, WINDOW)
    if _EXPERTS.search(name):
        return min(value, EXPERTS)
    if _CHOSEN.search(name):
        return min(value, EXPERTS // 2)
    return min(value, 1) if name in ("n_group", "topk_group", "n_groups") and value > 1 else value


def _shorter_rope(rope: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _shorter_rope(value)
        if isinstance(value, Mapping)
        else min(value, ORIGINAL)
        if key == "original_max_position_embeddings" and value
        else value
        for key, value in rope.items()
    }


def _narrowed(config: Any) -> Any:
    """The config with small widths in the same proportions: as many query heads to a key-value head, rotary parts of
    the same share."""
    config = copy.deepcopy(config)
    for part in _parts(config):
        heads, hidden = _number(part, "num_attention_heads"), _number(part, "hidden_size")
        if not hidden:
            continue
        groups = _number(part, "num_key_value_heads") or heads or 1
        width = _number(part, "head_dim") or (hidden // heads if heads else None)
        rope = _number(part, "qk_rope_head_dim")
        # As many as heads where each has its own (CodeGen cuts them into four parts), else two to one if that goes.
        new_groups = 4 if heads == groups and groups % 4 == 0 else 2 if groups % 2 == 0 else 1
        new_heads = min(new_groups * max(1, heads // groups), 8 * new_groups) if heads else None
        for name, value in [*_fields(part)]:
            if isinstance(value, Mapping) and "rope" in name and width:
                _set(part, name, _narrower_rope(value, width))
            if not _whole(value) or value <= 1:
                continue
            new = _narrow(name, value, hidden=hidden, heads=heads, width=width, rope=rope, new=(new_heads, new_groups))
            if new != value:
                _set(part, name, new)
    return config


def _number(config: Any, name: str) -> int | None:
    try:
        value = getattr(config, name, None)
    except Exception:  # fields that differ from layer to layer raise errors of their own
        return None
    return value if _whole(value) else None


def _narrow(name: str, value: int, *, hidden: int, heads: Any, width: Any, rope: Any, new: Any) -> int:
    new_heads, new_groups = new
    if value == hidden and not _limit(name):
        return (new_heads or 4) * HEAD
    if "head" in name and "dim" not in name and "size" not in name:
        return new_groups if ("key_value" in name or "kv" in name) else (new_heads if value == heads else min(value, 4))
    if name == "qk_rope_head_dim" or (name == "head_dim" and value == rope):
        return HEAD // 2
    if name == "qk_head_dim":
        return HEAD + HEAD // 2
    if "head_dim" in name or name in ("kv_channels", "head_size"):
        return HEAD
    if name == "rotary_dim" and width:
        return max(2, value * HEAD // width // 2 * 2)
    if _INNER.search(name):
        return min(value, WIDTH if "lora" not in name else HEAD)
    return value


def _limit(name: str) -> bool:
    return bool(_CONTEXT.search(name) or _WINDOW.search(name) or "vocab" in name)


def _narrower_rope(value: Any, width: int) -> Any:
    """Rotary parameters, in which a list with a factor for every frequency is as long as the narrower head needs."""
    if isinstance(value, Mapping):
        return {key: _narrower_rope(one, width) for key, one in value.items()}
    if isinstance(value, list | tuple) and len(value) > 3:
        return value[: max(1, len(value) * HEAD // width)]
    return value


def _parts(config: Any) -> Iterator[Any]:
    """The config and those inside it, such as the one of the text model."""
    yield config
    for _, value in _fields(config):
        if hasattr(value, "to_dict") and hasattr(value, "model_type"):
            yield from _parts(value)


def _depth(config: Any) -> int:
    return _number(config, "num_hidden_layers") or 0


def _kept_layers(config: Any) -> list[int]:
    """One layer of every kind that the config's lists of layers tell apart, in order; at least two if there are so
    many. Some may come twice."""
    depth = _depth(config)
    lists = [value for _, value in _fields(config) if isinstance(value, list) and len(value) == depth]
    kinds = [repr([value[layer] for value in lists]) for layer in range(depth)]
    kept = sorted({kind: layer for layer, kind in reversed([*enumerate(kinds)])}.values())[:LAYERS]
    if _number(config, SHARED):  # each kind once among the layers that make keys and values, once among the others
        kept += sorted({kind: layer for layer, kind in enumerate(kinds)}.values())[:LAYERS]
    return kept if len(kept) > 1 else list(range(min(depth, 2)))


def _fields(config: Any) -> Iterator[tuple[str, Any]]:
    yield from [(name, value) for name, value in vars(config).items() if not name.startswith("_")]


def _set(config: Any, name: str, value: Any) -> None:
    with contextlib.suppress(AttributeError, NotImplementedError):  # a property that follows from other fields
        setattr(config, name, value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
