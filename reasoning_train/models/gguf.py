"""Loads models from GGUF files in Python packages: dequantised to float32, with the tokenizer that they were trained
with."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_gen.checkpoints import end_ids
from data_gen.errors import UserError
from data_gen.format import Format, StepCodec
from reasoning_train.models.parameters import packaged_file
from reasoning_train.models.policy import Policy

if TYPE_CHECKING:
    from tokenizers.pre_tokenizers import PreTokenizer

AS_LOADED = (None, "default", "gpt-2")
"""Pre-tokenizers that transformers rebuilds correctly from a GGUF file. It gets others wrong without a warning."""


def load_gguf(name: str, fmt: Format) -> Policy:
    """The policy in `PACKAGE/FILE.gguf`. UserError if the package or file is missing, or if the original pre-tokenizer
    cannot be rebuilt."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    file = _packaged(name)
    loaded = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    _restore_pre_tokenizer(tokenizer, file)
    # The quantisation config must not survive the save: the weights are plain now.
    shape = type(loaded.config)(**{k: v for k, v in loaded.config.to_dict().items() if k != "quantization_config"})
    plain = type(loaded)(shape)
    plain.load_state_dict(loaded.state_dict())
    plain.generation_config = loaded.generation_config
    codec = StepCodec(fmt, tokenizer, end_ids(plain.generation_config))
    return Policy(plain, tokenizer, codec.format, codec)


def _packaged(name: str) -> Path:
    path = packaged_file(name)
    if path is not None:
        return path
    package, _, file = name.partition("/")
    spec = find_spec(package)
    if spec is None or not spec.origin:
        raise UserError(
            f"model.gguf: the Python package {package!r} is not installed. `make smollm` brings the one that the "
            "shipped recipes use."
        )
    there = sorted(found.name for found in Path(spec.origin).parent.glob("*.gguf"))
    raise UserError(f"model.gguf: {package!r} holds no file {file!r}; it has {there}.")


def _restore_pre_tokenizer(tokenizer: Any, file: Path) -> None:
    """Set the pre-tokenizer that `tokenizer.ggml.pre` names if transformers did not."""
    from gguf import GGUFReader

    field = GGUFReader(file).fields.get("tokenizer.ggml.pre")
    name = field.contents() if field else None
    if name in AS_LOADED:
        return
    if name != "smollm":
        raise UserError(
            f"model.gguf: {file.name} cuts text by the rules {name!r} (tokenizer.ggml.pre), which cannot be rebuilt "
            "from it: the model would see other tokens than in training. Take it as a `from_pretrained` folder "
            "(model.path) or from the Hub (model.hub)."
        )
    tokenizer.backend_tokenizer.pre_tokenizer = _smollm()


def _smollm() -> PreTokenizer:
    """Split off every digit, then apply GPT-2's rules: "\\n\\n1" is a blank line and a digit, not two line ends."""
    from tokenizers import pre_tokenizers

    return pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
