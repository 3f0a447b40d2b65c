"""Reads DeepSpeed configurations, for plans and trainers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from data_gen.errors import UserError
from reasoning_train.api.checkout import CHECKOUT


def zero_stage(name: str | None) -> int:
    """The ZeRO stage of `resources.deepspeed`; 0 without DeepSpeed."""
    return int(deepspeed_config(name).get("zero_optimization", {}).get("stage", 0)) if name else 0


def deepspeed_config(name: str) -> dict[str, Any]:
    """The configuration that `resources.deepspeed` names: one of configs/deepspeed/, or a file."""
    path = CHECKOUT / "configs" / "deepspeed" / f"{name}.json"
    if not path.is_file():
        path = Path(name)
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise UserError(
            f"resources.deepspeed: {name!r} is neither zero0, zero1, zero2 or zero3 nor a JSON file ({error})."
        ) from error
