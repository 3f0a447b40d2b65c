"""The heads of a trained model: loads or creates the value head, and freezes an unused language-model head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data_gen.verifiers.checkpoint import feature_width
from data_gen.verifiers.head_files import has_head, load_head
from data_gen.verifiers.heads import HeadConfig
from data_gen.verifiers.value_head import ValueHead


def open_head(folder: Path, config: HeadConfig, model: Any, *, new: bool = False) -> ValueHead:
    """The value head in `folder`, or a new one if there is none or `new` is set. UserError if the stored head is read
    or scaled differently from `config`."""
    if new or not has_head(folder):
        std = float(getattr(model.config, "initializer_range", 0.02))
        return ValueHead(config, feature_width(model, config.kind), init_std=std).to(model.device)
    head = load_head(folder)
    mend = (
        "repeat the checkpoint's value in the recipe's head to continue with it, or start a new head "
        "(`new_head: true` of train_verifier)"
    )
    config.check_same(head.config, "the recipe's head", "the checkpoint", more=("bias",), mend=mend)
    head.config, head.dropout.p = config, config.dropout
    return head.to(model.device)


def without_lm_head(model: Any, config: HeadConfig) -> Any:
    """Freeze the language-model head if the value head does not read it; DDP would wait for its gradient. Returns the
    model."""
    if config.kind != "from_vocab" and not model.config.tie_word_embeddings:
        model.get_output_embeddings().requires_grad_(False)
    return model
