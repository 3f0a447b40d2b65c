"""What is wrong with a model folder, from its files alone: neither torch nor transformers is imported, and no weight is
read. A recipe that names a folder looks at it when it loads."""

from __future__ import annotations

import json
import math
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_gen.errors import UserError
from data_gen.models.elsewhere import ADAPTER, base_of_adapter, is_adapter, whole_model
from data_gen.models.safetensors_header import shapes, torn

MOST_JSON = 1 << 26
"""Most bytes of a config or an index."""
MOST_TEXT = 1 << 28
"""Most bytes of any other file that is read whole. The largest tokenizers have about 40 MB."""
MOST_POSITIONS = 2**31
_CONFIG, _INDEX = "config.json", "model.safetensors.index.json"
_WEIGHTS, _ADAPTER_WEIGHTS = "model.safetensors", "adapter_model.safetensors"
_READ_WHOLE = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja"),
    *("vocab.json", "vocab.txt", "merges.txt", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model"),
    *("generation_config.json", "format.json"),
)
_COUNTS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers")
_SIZES = ("vocab_size", "hidden_size", "n_embd", "d_model", "intermediate_size", "num_attention_heads", "n_head")


def faults(folder: Path) -> Iterator[str]:
    """Why a `from_pretrained` folder cannot be loaded: no config, no safetensors that would be loaded, shards that are
    missing or elsewhere, torn files, pipes and devices, texts of absurd size, sizes that no weights could have, and
    the faults of an adapter's base."""
    if not folder.is_dir():
        yield f"{folder} is no folder; expected one with config.json and *.safetensors"
        return
    if wrong := next(unopenable(folder), ""):
        yield wrong
        return
    yield from _weight_faults(folder)
    name = ADAPTER if is_adapter(folder) else _CONFIG
    if not (folder / name).is_file():
        yield f"{folder} has no {name}; expected a `from_pretrained` folder"
    elif not isinstance(config := small_json(folder / name), dict):
        yield f"{folder / name} is no JSON object. Bring a whole copy"
    else:
        yield from (f"{folder / name}: {said}" for said in _absurd(folder, config))
        if name == ADAPTER:
            yield from _base_faults(folder)


def unopenable(folder: Path) -> Iterator[str]:
    """Files that must not be opened: pipes and devices, and texts too large to be what their names say."""
    for path in sorted(folder.iterdir()):
        if _odd(path):
            yield f"{path} is neither a file nor a folder. Bring a copy without it"
        elif path.name in _READ_WHOLE and path.is_file() and (size := path.stat().st_size) > MOST_TEXT:
            yield f"{path} has {size} bytes; expected at most {MOST_TEXT}. Bring the file that belongs to the model"


def _odd(path: Path) -> bool:
    """Whether opening it may wait for ever or read without end."""
    try:
        mode = path.stat().st_mode
    except OSError:  # a link to nothing is not opened
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _weight_faults(folder: Path) -> Iterator[str]:
    names = {path.name for path in folder.glob("*.safetensors")}
    entry = _ADAPTER_WEIGHTS if is_adapter(folder) else _WEIGHTS
    if not names:
        yield f"{folder} holds no *.safetensors. Weights in other formats are not loaded; convert them"
    elif entry not in names and not (entry == _WEIGHTS and (folder / _INDEX).is_file()):
        beside = "" if entry == _ADAPTER_WEIGHTS else f" or {_INDEX}"
        yield f"{folder} holds no {entry}{beside}, by which weights are found. Weights in other formats are not loaded"
    listed = _listed(folder) if (folder / _INDEX).is_file() else set()
    for name in sorted(listed - names):
        yield f"{folder / _INDEX} lists {name!r}, which is not in the folder"
    for name in sorted(names):
        if wrong := torn(folder / name):
            yield f"{folder / name} is torn ({wrong}). Bring a whole copy"


def _absurd(folder: Path, config: dict[str, Any]) -> Iterator[str]:
    """Sizes that the weights cannot have. Building the model would take all memory, or never end."""
    known = [shape for path in sorted(folder.glob("*.safetensors")) if not torn(path) for shape in shapes(path)]
    most = max((side for shape in known for side in shape), default=0)
    if is_adapter(folder):
        ranks = {"r": config.get("r"), **_mapping(config.get("rank_pattern"))}
        yield from _beyond(ranks, tuple(ranks), most, "the longest side of its tensors")
        return
    parts = [config, *(part for part in config.values() if isinstance(part, dict))]
    total = sum(map(math.prod, known))
    for part in parts:
        yield from _beyond(part, _COUNTS, len(known), "the number of its tensors")
        yield from _beyond(part, _SIZES, total, "the number of its weights")
        yield from _beyond(part, ("max_position_embeddings",), MOST_POSITIONS, "what any model has")


def _beyond(values: dict[str, Any], names: tuple[str, ...], most: int, what: str) -> Iterator[str]:
    for name in names:
        value = values.get(name)
        if value is None or most == 0:
            continue
        if isinstance(value, (str, float)) or (isinstance(value, int) and not 0 <= value <= most):
            yield f"{name} is {str(value)[:80]!r}; expected a whole number up to {most}, {what}. Mend it"


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _base_faults(folder: Path) -> Iterator[str]:
    """What is wrong with the model that an adapter changes. One that is gone is told when the adapter is loaded."""
    try:
        whole_model(folder)
        base = base_of_adapter(folder)
    except UserError:
        return
    yield from (f"the adapter's base: {said}" for said in faults(base))


def small_json(path: Path) -> Any:
    """The JSON in a file; None if it is damaged, or larger than a config or an index is."""
    try:
        return json.loads(path.read_bytes()) if path.stat().st_size <= MOST_JSON else None
    except (OSError, ValueError, RecursionError):
        return None


def _listed(folder: Path) -> set[str]:
    """Names of the shards that the index lists. Damaged: the index itself, which stands for the shards."""
    index = small_json(folder / _INDEX)
    found = index.get("weight_map") if isinstance(index, dict) else None
    return {str(name) for name in found.values()} if isinstance(found, dict) else {f"{_INDEX} (damaged)"}
