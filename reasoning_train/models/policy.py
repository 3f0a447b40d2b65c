"""A policy is a causal LM with its tokenizer and Format. This module loads and saves them together; code for all model
folders is in data_gen/checkpoints.py."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_gen.checkpoints import device_and_dtype, load_causal, load_folder, save_text
from data_gen.errors import LoadError, UserError, first_line
from data_gen.format import Format, StepCodec
from data_gen.models.context import context_length
from data_gen.models.elsewhere import is_adapter, refer_to_base, weights_folder

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase


@dataclass(slots=True)
class Policy:
    """`Policy(model, tokenizer, format, codec)` on one device, in evaluation mode."""

    model: Any
    """A PreTrainedModel, or peft's wrapper around one while adapters are trained."""
    tokenizer: PreTrainedTokenizerBase
    format: Format
    codec: StepCodec
    folder: Path | None = None
    """The artifact that it was loaded from."""

    @property
    def end_ids(self) -> frozenset[int]:
        """Token ids that end a generation: the tokenizer's eos and those of the generation config."""
        return self.codec.end_ids

    @property
    def context(self) -> int:
        """Longest sequence the model takes, in tokens."""
        return context_length(self.model.config)

    @property
    def vocabulary(self) -> int:
        """Number of ids that the model reads and predicts."""
        return int(self.model.config.get_text_config(decoder=True).vocab_size)


def load_policy(folder: Path, *, device: torch.device | None = None, lm_head: bool = True, **kwargs: Any) -> Policy:
    """Open a model artifact. UserError names missing or torn files. `kwargs` go to `from_pretrained`, such as a `dtype`
    other than the device's default.

    `lm_head=False` also opens a folder without a language-model head (a verifier's), to train a verifier that reads
    none.
    """
    refuse_served(folder)
    weights, (best, dtype) = weights_folder(folder), device_and_dtype()
    if "quantization_config" in kwargs and is_adapter(weights):
        raise UserError(
            f"lora.bits: the policy in {folder} keeps its adapter beside its base, and merging it into 4 bits would "
            "round it away. Make it with `adapter: merge`, or train plain LoRA on it (leave `bits` out)."
        )
    model, codec = load_folder(
        folder, "checkpoint", lambda at: load_causal(at, lm_head=lm_head, **{"dtype": dtype, **kwargs})
    )
    if getattr(model, "generation_config", None) is not None:  # TRL and `generate` stop by it
        model.generation_config.eos_token_id = sorted(codec.end_ids)
    return Policy(model.to(device or best).eval(), codec.tokenizer, codec.format, codec, folder)


def read_served(folder: Path) -> dict[str, Any] | None:
    """Name and context of a model that is only served elsewhere (policy_text.py); None if the artifact has weights.
    UserError if the file is damaged."""
    served = folder / "served.json"
    if not served.exists():
        return None
    try:
        said = json.loads(served.read_text(encoding="utf-8"))
        return {"name": str(said["name"]), "context": int(said["context"])}
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise LoadError(
            f"{served} is damaged ({first_line(error)}). Remove the artifact and run again to re-make it."
        ) from error


def refuse_served(folder: Path) -> None:
    """UserError if the artifact has no weights."""
    if (served := read_served(folder)) is not None:
        raise UserError(
            f"The model {served['name']!r} is only served: it has no weights here to train or to run in this process. "
            "Sample from it with `engine: {uses: openai, base_url: ...}`."
        )


def save_policy(policy: Policy, folder: Path) -> None:
    """Write model, tokenizer, generation config and Format as one `from_pretrained` folder. Adapters name the artifact
    that they change."""
    config = policy.model.generation_config
    if config is not None:
        config.eos_token_id = sorted(policy.end_ids)
    policy.model.save_pretrained(folder, safe_serialization=True)
    if is_adapter(folder) and policy.folder is not None:
        refer_to_base(folder, policy.folder)
    save_text(policy.codec, folder)
