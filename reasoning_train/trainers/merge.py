"""Prepares a trained model for saving on rank 0: merges adapters unless they are kept, and casts to bfloat16 if it was
trained in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from reasoning_train.process.ranks import rank


def merge_for_export(model: Any, folder: Path, *, merge: bool, bf16: bool, lm_head: bool = True) -> Any:
    """The model to save on rank 0; other ranks get the model back unchanged. `folder`: the artifact that training
    started from. `lm_head`: whether its language-model head is used. `bf16`: whether passes computed in bfloat16."""
    dtype, adapted = torch.bfloat16 if bf16 else torch.float32, hasattr(model, "merge_and_unload")
    if rank() or (adapted and not merge):
        return model
    if adapted:
        model = _merged(model, folder, dtype, lm_head)
    return model.to(dtype) if bf16 else model


def _merged(model: Any, folder: Path, dtype: torch.dtype, lm_head: bool) -> Any:
    """Merge the adapters. A 4-bit base is reloaded unquantised first, because a merge into 4 bits would round the sum
    again; on the CPU, because the GPU may have room for the 4 bits only."""
    if not getattr(model.get_base_model(), "is_loaded_in_4bit", False):
        return model.merge_and_unload()
    from peft import get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

    from reasoning_train.models.policy import load_policy

    loaded = load_policy(folder, device=torch.device("cpu"), lm_head=lm_head, dtype=dtype).model
    whole = get_peft_model(loaded, model.peft_config["default"])
    set_peft_model_state_dict(whole, {name: value.cpu() for name, value in get_peft_model_state_dict(model).items()})
    return whole.merge_and_unload()
