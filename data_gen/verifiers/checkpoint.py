"""Verifier checkpoints on disk: a `from_pretrained` folder with the head in its subfolder `head`, and `format.json`.

A head of one linear layer is also stored inside the backbone's weights under the name that transformers uses. Such a
folder loads with plain `AutoModelForTokenClassification` (or `AutoModelForSequenceClassification`, see `_shell`), so
other tools can serve it. They return scores (`raw`); gain, offset and activation are in `head/head.json`.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING,
    AutoModel,
    GenerationConfig,
)

from data_gen.checkpoints import device_and_dtype, load_causal, load_folder, load_whole, quiet, save_format
from data_gen.errors import UserError
from data_gen.format import Format, StepCodec
from data_gen.models.context import context_length
from data_gen.models.elsewhere import is_adapter
from data_gen.verifiers.head_files import load_head, save_head

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from data_gen.verifiers.value_head import ValueHead


@dataclass(slots=True)
class Verifier:
    """`Verifier(backbone, head, tokenizer, format)`. For a joint model it is the policy's backbone without the LM
    head."""

    backbone: Any
    """A PreTrainedModel: a causal LM for heads of kind `from_vocab`, else the bare model."""
    head: ValueHead
    tokenizer: PreTrainedTokenizerBase
    format: Format
    """Its task half equals the policy's. Its model half is its own."""
    end_ids: tuple[int, ...] = ()
    """Ids that end a solution besides the tokenizer's own: those of the policy that it was trained from, or of its own
    generation config."""

    @property
    def codec(self) -> StepCodec:
        """Its text conventions, bound to its tokenizer."""
        return StepCodec(self.format, self.tokenizer, self.end_ids)

    @property
    def context(self) -> int:
        """Longest sequence that the backbone takes, in tokens."""
        return context_length(self.backbone.config)


def save_verifier(verifier: Verifier, folder: Path) -> None:
    """Write backbone, head, tokenizer and Format."""
    folder.mkdir(parents=True, exist_ok=True)
    shell = _shell(verifier)
    (verifier.backbone if shell is None else shell).save_pretrained(folder)
    if verifier.end_ids:
        GenerationConfig(eos_token_id=sorted(verifier.end_ids)).save_pretrained(folder)
    save_head(verifier.head, folder)
    verifier.tokenizer.save_pretrained(folder)
    save_format(verifier.format, folder)


def load_verifier(folder: Path) -> Verifier:
    """Open a verifier or the value side of a joint model, in evaluation mode. UserError names missing or truncated
    files and heads that do not fit."""
    head = load_head(folder)
    backbone, codec = load_backbone(folder, head.config.kind)
    wanted = feature_width(backbone, head.config.kind)
    if head.width != wanted:
        raise UserError(
            f"The head in {folder} reads {head.width} numbers a token, its backbone gives {wanted}. They come "
            "from different models; re-make the checkpoint."
        )
    return Verifier(backbone, head.to(backbone.device), codec.tokenizer, codec.format, tuple(codec.end_ids))


def load_backbone(folder: Path, kind: str) -> tuple[Any, StepCodec]:
    """The backbone for a head of this kind, and its text conventions. Code in the folder is never run."""
    device, dtype = device_and_dtype()
    if kind == "from_vocab":
        backbone, codec = load_folder(folder, "model", lambda weights: load_causal(weights, dtype=dtype))
    else:
        backbone, codec = load_folder(folder, "verifier", lambda weights: _load_bare(weights, dtype))
    return backbone.to(device).eval(), codec


def _load_bare(weights: Path, dtype: torch.dtype) -> Any:
    if is_adapter(weights):  # of a joint model
        return load_causal(weights, dtype=dtype).base_model
    with quiet():  # a head's weights that transformers does not know or does not need are expected
        return load_whole(AutoModel, weights, dtype=dtype)


def feature_width(backbone: Any, kind: str) -> int:
    """Width of the input of a head of this kind, per token."""
    config = backbone.config.get_text_config()
    return int(config.vocab_size if kind == "from_vocab" else config.hidden_size)


def _shell(verifier: Verifier) -> Any:
    """The backbone inside the transformers class with such a head, sharing its weights. None if there is no such class.

    A sequence-classification model drops trailing pad tokens before it reads. If the pad token is the end token, it
    would read one token early, so such heads are also stored for token classification.
    """
    head, backbone = verifier.head, verifier.backbone
    if head.config.kind != "scalar":
        return None
    tokenizer = verifier.tokenizer
    whole = (
        head.config.read_at == "last"
        and not head.config.bias
        and tokenizer.pad_token_id not in (None, tokenizer.eos_token_id)
    )
    mapping: Any = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING if whole else MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING
    kind = mapping.get(type(backbone.config), None)
    if kind is None:
        return None
    config = copy.deepcopy(backbone.config)
    config.num_labels, config.classifier_dropout = head.config.labels, head.config.dropout
    config.pad_token_id = tokenizer.pad_token_id
    with torch.device("meta"):
        shell = kind(config)
    if not isinstance(getattr(shell, "score", None), nn.Linear):
        return None
    setattr(shell, shell.base_model_prefix, backbone)
    shell.score = _exported(head, bias=not whole)
    return shell


def _exported(head: ValueHead, *, bias: bool) -> nn.Linear:
    """The head's layer. It gets a bias of 0 if the class expects one and the head has none."""
    own = head.state_dict()
    linear = nn.Linear(head.width, head.config.labels, bias=bias, dtype=torch.float32)
    with torch.no_grad():
        linear.weight.copy_(own["score.weight"])
        if bias:
            linear.bias.copy_(own.get("score.bias", torch.zeros(())))
    return linear
