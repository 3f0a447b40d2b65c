"""A trained model as it is saved: its adapters merged unless they are kept, in bfloat16 where it was trained so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch


def published(model: Any, folder: Path, *, merge: bool, half: bool) -> Any:
    """`folder`: the artifact that training began with; `half`: passes computed in bfloat16."""
    if hasattr(model, "merge_and_unload"):
        if not merge:
            return model
        model = _merged(model, folder)
    return model.to(torch.bfloat16) if half else model


def _merged(model: Any, folder: Path) -> Any:
    """Weights of 4 bits are loaded again as they came: merged as they are, the sum would be rounded to 4 bits again."""
    if not getattr(model.get_base_model(), "is_loaded_in_4bit", False):
        return model.merge_and_unload()
    from peft import get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

    from reasoning_train.models.policy import load_policy

    whole = get_peft_model(load_policy(folder).model, model.peft_config["default"])
    set_peft_model_state_dict(whole, get_peft_model_state_dict(model))
    return whole.merge_and_unload()
