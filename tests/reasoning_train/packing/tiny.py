"""Small random models of each family, and rows for them."""

from __future__ import annotations

from typing import Any

import torch

from reasoning_train.packing.rows import Row, Trace
from tests.data_gen.models.shapes import shape

VOCAB = 23
FAMILIES = ("llama", "qwen2", "qwen3", "mistral", "gemma2", "qwen2-mixed")


def model(family: str, attention: str = "sdpa", **more: Any) -> Any:
    """A causal LM in evaluation mode; mistral has a window of 4 on all layers, gemma2 and qwen2-mixed on some."""
    import transformers as t

    classes: dict[str, tuple[Any, Any, dict[str, Any]]] = {
        "llama": (t.LlamaConfig, t.LlamaForCausalLM, {}),
        "qwen2": (t.Qwen2Config, t.Qwen2ForCausalLM, {}),
        "qwen3": (t.Qwen3Config, t.Qwen3ForCausalLM, {"head_dim": 8}),
        "mistral": (t.MistralConfig, t.MistralForCausalLM, {"sliding_window": 4}),
        "gemma2": (
            t.Gemma2Config,
            t.Gemma2ForCausalLM,
            {"head_dim": 8, "sliding_window": 4, "query_pre_attn_scalar": 8},
        ),
        "qwen2-mixed": (
            t.Qwen2Config,
            t.Qwen2ForCausalLM,
            {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
        ),
    }
    config, causal, extra = classes[family]
    torch.manual_seed(0)
    return causal(config(**shape(vocab_size=VOCAB, **{**extra, **more}), attn_implementation=attention)).eval()


def trace(*ids: int, prompt: int = 1, values: bool = False) -> Trace:
    """Weights 1, 2, 1, ... behind the prompt; with `values`, a target at every token behind it."""
    at = tuple(range(prompt, len(ids))) if values else ()
    return Trace(
        ids,
        tuple(0.0 if i < prompt else 1.0 + i % 2 for i in range(len(ids))),
        at,
        tuple(0.1 * t for t in at),
        (1.0,) * len(at),
    )


def rows(seed: int = 0, lengths: tuple[int, ...] = (5, 9, 3, 12, 7)) -> list[Row]:
    """One trace each, random ids."""
    rng = torch.Generator().manual_seed(seed)
    return [Row((trace(*torch.randint(0, VOCAB, (n,), generator=rng).tolist(), prompt=n // 3 or 1),)) for n in lengths]
