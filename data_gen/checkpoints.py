"""What all model folders share: the Format beside the weights, and the device that a model runs on.

A model folder is a `from_pretrained` folder with `format.json`. If the weights lie elsewhere, it is a folder with
`format.json` and a pointer (models/elsewhere.py). This module imports nothing heavy.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_gen.errors import LoadError, UserError, first_line
from data_gen.format import Format, StepCodec
from data_gen.models.elsewhere import base_of_adapter, is_adapter, weights_folder, whole_model
from data_gen.models.finite import not_finite
from data_gen.models.folder import faults
from data_gen.models.generation import with_mended_generation
from data_gen.models.settle import settle
from data_gen.templates.published import published_template

if TYPE_CHECKING:
    import torch
    from transformers import GenerationConfig, PreTrainedTokenizerBase

BASE_TEMPLATE = "base_chat_template.jinja"
"""In a folder of ours: the chat template that the policy's model brought. Empty if it brought none."""


def device_and_dtype() -> tuple[torch.device, torch.dtype]:
    """CUDA with bfloat16 if available, else CPU with float32 (bfloat16 on CPUs without AMX is about 100 times
    slower)."""
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device()), torch.bfloat16
    return torch.device("cpu"), torch.float32


@contextmanager
def quiet() -> Iterator[None]:
    """Make transformers log errors only."""
    log = logging.getLogger("transformers")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def has_lm_head(weights: Path) -> bool:
    """False for the weights of a verifier that were saved without the language-model head. UserError if their config is
    damaged."""
    config = weights / "config.json"
    if not config.is_file():  # adapters: their base model has one
        return True
    bare = ("ForTokenClassification", "ForSequenceClassification", "Model")
    try:
        made = json.loads(config.read_text(encoding="utf-8")).get("architectures") or []
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise LoadError(f"{config} is damaged ({first_line(error)}). Re-make the checkpoint.") from error
    return not any(name.endswith(bare) and not name.endswith("LMHeadModel") for name in made)


def load_whole(auto: Any, weights: Path, *, lm_head: bool = True, **kwargs: Any) -> Any:
    """`auto.from_pretrained(weights)`, without network access or remote code. ValueError if a tensor is missing from
    the files: transformers would initialise it at random and only log that. `lm_head=False`: the language-model head
    may be missing, since it is not read."""
    refuse_faults(weights)
    model, found = auto.from_pretrained(
        weights,
        output_loading_info=True,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        **kwargs,
    )
    missing = set(found["missing_keys"])
    if missing and not lm_head:
        read = {id(weight) for weight in model.get_input_embeddings().parameters()}  # tied weights are both
        unread = {id(weight) for weight in model.get_output_embeddings().parameters()} - read
        missing -= {name for name, weight in model.named_parameters(remove_duplicate=False) if id(weight) in unread}
    if missing:
        raise ValueError(
            f"{len(missing)} tensors of the model are missing from its files; the first is {min(missing)!r}"
        )
    return with_mended_generation(settle(model))


def refuse_faults(weights: Path) -> None:
    """ValueError for a folder that must not be loaded, above all one whose weights are not safetensors."""
    if wrong := next(faults(weights), ""):
        raise ValueError(wrong)


def load_causal(weights: Path, *, lm_head: bool = True, **kwargs: Any) -> Any:
    """The causal LM in a folder. Adapters are merged into their base, so that the next trainer saves the whole model.
    `lm_head`: as for `load_whole`."""
    if is_adapter(weights):
        refuse_faults(weights)
        return _merged(load_causal(base_of_adapter(weights), **kwargs), weights)
    from transformers import AutoModelForCausalLM

    if lm_head:
        return load_whole(AutoModelForCausalLM, weights, **kwargs)
    with quiet():  # a head that is not read, or is stored elsewhere, may be missing
        return load_whole(AutoModelForCausalLM, weights, lm_head=False, **kwargs)


def _merged(base: Any, weights: Path) -> Any:
    """The model with the adapters of a folder in its weights. Embeddings grow to the adapters' tokenizer, as peft lets
    them."""
    from peft import PeftModel

    if (weights / "tokenizer_config.json").is_file():
        size = len(load_tokenizer(weights))
        if size > base.get_input_embeddings().weight.shape[0]:
            base.resize_token_embeddings(size)
    merged: Any = PeftModel.from_pretrained(base, weights).merge_and_unload()
    return with_mended_generation(settle(merged.requires_grad_(True)))


def unwrapped(model: Any) -> Any:
    """The transformers model itself, also if peft wraps it."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def load_folder(folder: Path, what: str, load: Callable[[Path], Any]) -> tuple[Any, StepCodec]:
    """The model that `load` makes of the weights, and its text conventions. UserError names missing or truncated files
    of this `what`."""
    weights = weights_folder(folder)
    whole_model(weights)  # an adapter's base that is elsewhere is told as such
    try:
        fmt, model, tokenizer, ends = (
            load_format(folder),
            load(weights),
            load_tokenizer(weights),
            saved_end_ids(weights),
        )
    except Exception as error:  # truncated safetensors, missing files and bad JSON each raise another type
        raise LoadError(
            f"The {what} in {weights} cannot be loaded ({first_line(error)}). Expected format.json, "
            f"config.json, model.safetensors and tokenizer.json, whole. {how_to_mend(weights, folder)}"
        ) from error
    if name := not_finite(model):
        raise UserError(
            f"The {what} in {weights} cannot be used: its weight {name!r} holds NaN or infinity. The training that "
            "made it blew up; train it again with a lower learning rate, or bring other weights."
        )
    return model, StepCodec(fmt, tokenizer, ends)


def load_tokenizer(weights: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a weights folder, as it was saved, with the chat template from which prompts are made."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    config = weights / "tokenizer_config.json"
    saved = json.loads(config.read_text(encoding="utf-8")).get("tokenizer_class") if config.is_file() else None
    # For some model types (qwen2) AutoTokenizer takes its own class where this one was saved, and with it another
    # pre-tokenizer.
    generic = saved in ("TokenizersBackend", "PreTrainedTokenizerFast") and (weights / "tokenizer.json").is_file()
    loaded = (PreTrainedTokenizerFast if generic else AutoTokenizer).from_pretrained(weights, local_files_only=True)
    base = weights / BASE_TEMPLATE
    if base.is_file():
        loaded.chat_template = base.read_text(encoding="utf-8") or None
    return loaded


def save_text(codec: StepCodec, folder: Path) -> None:
    """Write tokenizer and Format. The tokenizer carries a chat template that gives this policy's own prompts to other
    programs; the one that it was made from lies beside it, for this one."""
    tokenizer, own = codec.tokenizer, codec.tokenizer.chat_template
    base = own.get("default") if isinstance(own, dict) else own
    try:
        tokenizer.chat_template = published_template(codec)
        tokenizer.save_pretrained(folder)
    finally:
        tokenizer.chat_template = own
    (folder / BASE_TEMPLATE).write_text(base or "", encoding="utf-8")
    save_format(codec.format, folder)


def load_format(folder: Path) -> Format:
    """The Format that travels with a model folder."""
    return Format.model_validate_json((folder / "format.json").read_text(encoding="utf-8"))


def save_format(fmt: Format, folder: Path) -> None:
    """Write `format.json`."""
    (folder / "format.json").write_text(fmt.model_dump_json(indent=2), encoding="utf-8")


def saved_end_ids(weights: Path) -> list[int]:
    """Ids that end a generation, from the configs beside the weights (a chat model has several). Adapters take those of
    their base."""
    from transformers import GenerationConfig

    base = whole_model(weights)
    if (base / "generation_config.json").exists():
        return end_ids(GenerationConfig.from_pretrained(base))
    return end_ids(GenerationConfig.from_model_config(read_config(base)))


def read_config(weights: Path) -> Any:
    """The config of a whole model. Code that a folder brings is never asked for."""
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(weights, local_files_only=True, trust_remote_code=False)


def end_ids(generation: GenerationConfig) -> list[int]:
    """Ids that end a generation, from a generation config. UserError for anything but numbers."""
    eos = generation.eos_token_id
    found = list(eos) if isinstance(eos, (list, tuple)) else [] if eos is None else [eos]
    if wrong := [one for one in found if isinstance(one, bool) or not isinstance(one, int) or one < 0]:
        raise UserError(
            f"generation_config.json: eos_token_id holds {wrong[0]!r}; expected ids of tokens, such as 2 or [2, 7]."
        )
    return found


def how_to_mend(weights: Path, folder: Path) -> str:
    """What to do if files of the model folder `folder`, in `weights`, are missing or truncated: artifacts can be made
    again."""
    if weights != folder:
        return "Bring the missing or torn files there, or name another model."
    return "Remove the folder and run again to re-make it."
