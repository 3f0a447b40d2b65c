"""A policy without its weights: tokenizer, Format, codec and limits, for stages whose model runs in another process.

A model that is only served elsewhere has a folder with `served.json` (`{"name": ..., "context": ...}`), its tokenizer
and `format.json`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from data_gen.checkpoints import (
    how_to_mend,
    load_format,
    load_tokenizer,
    read_config,
    save_format,
    saved_end_ids,
)
from data_gen.errors import LoadError, first_line
from data_gen.format import Format, StepCodec, TaskFormat
from data_gen.models.context import context_length
from data_gen.models.elsewhere import weights_folder, whole_model
from reasoning_train.models.policy import read_served


@dataclass(frozen=True, slots=True)
class PolicyText:
    """`PolicyText(folder, tokenizer, format, codec, context=4096, weights=folder)`."""

    folder: Path
    """The model artifact."""
    tokenizer: Any
    format: Format
    codec: StepCodec
    context: int
    """Longest sequence the model takes, in tokens."""
    weights: Path | None
    """The `from_pretrained` folder; None if the model is only served."""
    served: str | None = None
    """The model's name at its server."""

    def under(self, conventions: TaskFormat) -> PolicyText:
        """The same policy, asked by the text conventions of another task."""
        fmt = Format(task=conventions, model=self.format.model)
        codec = StepCodec(fmt, self.tokenizer, self.codec.end_ids)
        return replace(self, format=codec.format, codec=codec)


def load_policy_text(folder: Path) -> PolicyText:
    """Open a model artifact without its weights. UserError names missing or torn files."""
    weights, served = weights_folder(folder), read_served(folder)
    whole_model(weights)  # an adapter's base that is elsewhere is told as such
    try:
        fmt, tokenizer = load_format(folder), load_tokenizer(weights)
        ends = [] if served else saved_end_ids(weights)
        context = served["context"] if served else context_length(read_config(whole_model(weights)))
    except Exception as error:  # every kind of torn file raises its own errors
        raise LoadError(
            f"The model in {weights} cannot be read ({first_line(error)}). Expected format.json, "
            f"config.json and tokenizer.json, whole. {how_to_mend(weights, folder)}"
        ) from error
    codec = StepCodec(fmt, tokenizer, ends)
    if served:
        return PolicyText(folder, tokenizer, codec.format, codec, context, None, served["name"])
    return PolicyText(folder, tokenizer, codec.format, codec, context, weights)


def save_served(folder: Path, tokenizer: Any, fmt: Format, *, name: str, context: int) -> None:
    """Write the artifact of a model that is only served."""
    tokenizer.save_pretrained(folder)
    save_format(fmt, folder)
    (folder / "served.json").write_text(json.dumps({"name": name, "context": context}), encoding="utf-8")
