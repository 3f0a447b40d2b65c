"""Heads of models trained by other programs: classification models of transformers, Qwen2.5-Math-PRM, TRL's value
heads.

None of their code is run, and none is needed: a head is one or two linear layers, found in the weights by name. It
becomes a ValueHead. The backbone stays in its folder.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, model_validator

from data_gen.errors import UserError
from data_gen.format import ModelFormat
from data_gen.records.scales import Scale
from data_gen.verifiers.heads import Activation, HeadConfig, ReadAt, check_activation

if TYPE_CHECKING:
    from torch import Tensor

    from data_gen.verifiers.value_head import ValueHead

QWEN_PRM = "Qwen2ForProcessRewardModel"
QWEN_PRM_TEXT = ModelFormat(
    template="chat",
    system="Please reason step by step, and put your final answer within \\boxed{}.",
    step_token="<extra_0>",
)
"""The input format on which Qwen2.5-Math-PRM was trained: the chat template, and a separator after every step, at which
its scores stand."""
_NAMES = {"v_head.summary.": "score."}
"""Other names of a linear layer over hidden states (TRL's AutoModelForCausalLMWithValueHead, Skywork-o1-Open-PRM)."""


class ForeignHead(BaseModel):
    """Properties of a head that the weights do not state: `ForeignHead(positive="correct", read_at="step_end")` for a
    classifier of steps, `ForeignHead(activation="none", scale="ranking", read_at="last")` for a reward model with one
    output."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    read_at: ReadAt
    positive: int | str = 0
    """The label that means right, by number or by its name in config.json, if there are several labels."""
    activation: Activation = "sigmoid"
    scale: Scale = Scale.P
    gain: float = Field(1.0, gt=0)
    offset: float = 0.0

    @model_validator(mode="after")
    def _sound(self) -> ForeignHead:
        check_activation(self.activation, self.scale)
        return self


QWEN_PRM_HEAD = ForeignHead(read_at="step_end", positive=1)


def load_foreign_head(weights: Path, meaning: ForeignHead) -> ValueHead:
    """The head in a folder of weights, with the given meaning. UserError if there is none of a known shape."""
    from data_gen.verifiers.value_head import ValueHead

    tensors = _head_tensors(weights)
    two_layer = "score.0.weight" in tensors
    last = "score.2" if two_layer else "score"
    labels, width = tensors[f"{last}.weight"].shape
    config = HeadConfig(
        kind="two_layer" if two_layer else "scalar",
        labels=labels,
        positive=_label(weights, meaning.positive, labels),
        bias=f"{last}.bias" in tensors,
        **meaning.model_dump(exclude={"positive"}),
    )
    head = ValueHead(config, width)
    head.load_state_dict(tensors)
    return head.eval()


def architecture(weights: Path) -> str:
    """The class that a checkpoint was saved from. Empty if its config.json does not say."""
    return next(iter(_config(weights).get("architectures") or ()), "")


def _head_tensors(weights: Path) -> dict[str, Tensor]:
    """The head's tensors in float32, under our names."""
    from safetensors import safe_open

    found: dict[str, Tensor] = {}
    files = sorted(weights.glob("*.safetensors"))
    for file in files:
        with safe_open(file, framework="pt") as stored:
            for name in stored.keys():  # noqa: SIM118  # no mapping
                ours = next((new + name.removeprefix(old) for old, new in _NAMES.items() if name.startswith(old)), name)
                if ours.startswith("score."):
                    found[ours] = stored.get_tensor(name).float()
    if not ({"score.weight"} <= found.keys() or {"score.0.weight", "score.2.weight"} <= found.keys()):
        raise UserError(
            f"{weights} (a {architecture(weights) or 'model of unknown class'}, {len(files)} safetensors files) holds "
            "no head of a known shape. Expected the weights score.weight, or score.0.weight and score.2.weight, or "
            "v_head.summary.weight, as decoder models for token or sequence classification have them; found "
            f"{', '.join(sorted(found)) or 'none of these'}."
        )
    return found


def _label(weights: Path, label: int | str, labels: int) -> int:
    if isinstance(label, int):
        if label >= labels:
            raise UserError(
                f"verifier.head.positive is {label}, but the model has {labels} label(s), which count from 0."
            )
        return label
    names = {name: int(i) for i, name in (_config(weights).get("id2label") or {}).items()}
    if label not in names:
        raise UserError(
            f"verifier.head.positive is {label!r}, but the model's labels are {', '.join(names) or 'not named'}."
        )
    return names[label]


def _config(weights: Path) -> dict:
    path = weights / "config.json"
    if not path.is_file():
        raise UserError(f"{weights} is not a model folder: it has no config.json.")
    return json.loads(path.read_text(encoding="utf-8"))
