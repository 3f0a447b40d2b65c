"""A trained model as the first process saves it: its adapters merged unless they are kept, in bfloat16 where it was
trained so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from reasoning_train.process.ranks import rank


def merge_for_export(model: Any, folder: Path, *, merge: bool, bf16: bool, lm_head: bool = True) -> Any:
    """`folder`: the artifact that training began with, `lm_head`: whose language-model head is read; `bf16`: passes
    computed in bfloat16. Other processes get the model back as it is."""
    dtype, adapted = torch.bfloat16 if bf16 else torch.float32, hasattr(model, "merge_and_unload")
    if rank() or (adapted and not merge):
        return model
    if adapted:
        model = _merged(model, folder, dtype, lm_head)
    return model.to(dtype) if bf16 else model


def _merged(model: Any, folder: Path, dtype: torch.dtype, lm_head: bool) -> Any:
    """Weights of 4 bits are loaded again as they came: merged as they are, the sum would be rounded to 4 bits again. On
    the CPU, for the device may hold no more than the 4 bits."""
    if not getattr(model.get_base_model(), "is_loaded_in_4bit", False):
        return model.merge_and_unload()
    from peft import get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

    from reasoning_train.models.policy import load_policy

    loaded = load_policy(folder, device=torch.device("cpu"), lm_head=lm_head, dtype=dtype).model
    whole = get_peft_model(loaded, model.peft_config["default"])
    set_peft_model_state_dict(whole, {name: value.cpu() for name, value in get_peft_model_state_dict(model).items()})
    return whole.merge_and_unload()
