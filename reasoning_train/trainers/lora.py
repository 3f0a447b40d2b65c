"""Where adapters go: on all linear layers, and on experts whose weights are stacked in one tensor a layer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from data_gen.errors import UserError

if TYPE_CHECKING:
    from reasoning_train.trainers.config import Lora


def with_adapters(model: Any, lora: Lora) -> tuple[Any, list[str]]:
    """The model wrapped by peft, and the weight matrices that got no adapter: routers, embeddings of positions.

    The linear layers of mixtures of experts are no modules but tensors `[experts, ..., ...]`; each expert gets an
    adapter of its own. UserError if dropout is asked for there.
    """
    from peft import LoraConfig, get_peft_model

    experts = sorted({_suffix(name) for name in _experts(model)})
    if experts and lora.dropout:
        raise UserError(
            f"lora.dropout: {lora.dropout} cannot be had on the experts of a {model.config.model_type!r} model, whose "
            "weights are one tensor a layer. Set `dropout: 0`."
        )
    options = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules="all-linear",
        target_parameters=experts or None,
        task_type="CAUSAL_LM",
    )
    wrapped = get_peft_model(model, options)
    return wrapped, sorted({_pattern(name) for name in _untouched(wrapped)})


def _experts(model: Any) -> Iterator[str]:
    """Names of the stacked weights of experts."""
    for at, module in model.named_modules():
        if "expert" in type(module).__name__.lower():
            yield from (f"{at}.{name}" for name, weight in module.named_parameters(recurse=False) if _stacked(weight))


def _stacked(weight: Any) -> bool:
    return len(getattr(weight, "ds_shape", weight.shape)) == 3


def _suffix(name: str) -> str:
    """`experts.gate_up_proj` of `model.layers.3.mlp.experts.gate_up_proj`, as peft wants it."""
    return ".".join(name.split(".")[-2:])


def _pattern(name: str) -> str:
    """`model.layers.*.mlp.gate.weight` of `base_model.model.model.layers.3.mlp.gate.weight`."""
    return re.sub(r"\.\d+\.", ".*.", name.removeprefix("base_model.model."))


def _untouched(wrapped: Any) -> Iterator[str]:
    """Names of the matrices without an adapter, but for embeddings of tokens and the language-model head."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    base = wrapped.get_base_model()
    vocabulary = {
        id(p) for part in (base.get_input_embeddings(), base.get_output_embeddings()) for p in part.parameters()
    }
    adapted: set[int] = set()
    for module in wrapped.modules():
        if isinstance(module, BaseTunerLayer):
            one = getattr(module, "parameter_name", None)
            inner: Any = module.get_base_layer()
            adapted |= {id(p) for name, p in inner.named_parameters() if one is None or name == one}
    for name, weight in wrapped.named_parameters():
        if "lora_" not in name and weight.dim() >= 2 and id(weight) not in vocabulary | adapted:
            yield name.replace(".base_layer", "")
