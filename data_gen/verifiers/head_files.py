"""A head on disk: the subfolder `head` of a model folder, with `head.json` and float32 weights in safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from data_gen.errors import LoadError, UserError, first_line
from data_gen.models.elsewhere import weights_folder
from data_gen.verifiers.heads import HeadConfig

if TYPE_CHECKING:
    from data_gen.verifiers.value_head import ValueHead

HEAD_FOLDER, HEAD_CONFIG, HEAD_WEIGHTS = "head", "head.json", "head.safetensors"


def read_head_config(folder: Path) -> HeadConfig:
    """The config of the head beside the model in `folder`. UserError if there is none or it cannot be read."""
    path = _folder(folder) / HEAD_CONFIG
    if not path.is_file():
        raise UserError(
            f"{folder} holds no value head (no {HEAD_FOLDER}/{HEAD_CONFIG}). Expected a verifier or a joint model of "
            "this program."
        )
    try:
        return HeadConfig.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise LoadError(f"{path} cannot be read ({first_line(error)}). Re-make the checkpoint.") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "as a whole"
        raise LoadError(
            f"{path} is not a valid head config: {field}: {first['msg']}. Re-make the checkpoint."
        ) from error


def has_head(folder: Path) -> bool:
    """Whether a model folder holds a value head."""
    return (_folder(folder) / HEAD_CONFIG).is_file()


def _folder(folder: Path) -> Path:
    """The folder of a model's head: beside its Format, or beside external weights."""
    own = folder / HEAD_FOLDER
    return own if own.is_dir() else weights_folder(folder) / HEAD_FOLDER


def save_head(head: ValueHead, folder: Path) -> None:
    """Write config and float32 weights into the subfolder `head` of a model folder."""
    from safetensors.torch import save_file

    inside = folder / HEAD_FOLDER
    inside.mkdir(parents=True, exist_ok=True)
    (inside / HEAD_CONFIG).write_text(head.config.model_dump_json(indent=2), encoding="utf-8")
    weights = {name: tensor.detach().float().cpu().contiguous() for name, tensor in head.state_dict().items()}
    save_file(weights, inside / HEAD_WEIGHTS, metadata={"format": "pt"})


def load_head(folder: Path) -> ValueHead:
    """The head beside the model in `folder`, on the CPU, in evaluation mode. UserError for truncated weights or weights
    of another shape."""
    from safetensors.torch import load_file

    from data_gen.verifiers.value_head import ValueHead

    config, path = read_head_config(folder), _folder(folder) / HEAD_WEIGHTS
    try:
        weights = load_file(path)
        head = ValueHead(config, max(tensor.shape[-1] for tensor in weights.values()))
        head.load_state_dict(weights)
    except Exception as error:  # safetensors, missing files and wrong shapes each raise another type
        first = next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), "")
        raise LoadError(
            f"The head's weights in {path} cannot be loaded ({type(error).__name__}: {first[:200]}). Expected those of "
            f"a head of kind {config.kind!r} with {config.labels} label(s). Re-make the checkpoint."
        ) from error
    return head.eval()
