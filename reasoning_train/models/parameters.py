"""Counts a model's parameters from the headers of its files, for `plan`, before anything is loaded."""

from __future__ import annotations

import math
import re
from importlib.util import find_spec
from pathlib import Path

from data_gen.errors import UserError
from data_gen.models.elsewhere import cached_snapshot, is_adapter
from data_gen.models.safetensors_header import shapes, torn


def parameters_of(weights: Path) -> int | None:
    """Number of parameters in a folder of safetensors or in one GGUF file; None if it is unknown."""
    try:
        if weights.suffix == ".gguf":
            return _in_gguf(weights)
        if is_adapter(weights):  # the base model is elsewhere
            return None
        return sum(map(_in_safetensors, weights.glob("*.safetensors"))) or None
    except (OSError, ValueError, KeyError):  # torn or absent: the stage that loads it reports this
        return None


def parameters_on_the_hub(repo: str, revision: str | None) -> int | None:
    """Number of parameters of a model in this machine's Hub cache, else the number in its name (`deepseek-math-7b`),
    else None."""
    try:
        if known := parameters_of(cached_snapshot(repo, revision, "model.hub")):
            return known
    except UserError:  # not fetched yet
        pass
    named = re.search(r"(?<![0-9.a-z])([0-9]+(?:\.[0-9]+)?)([bm])(?![a-z0-9])", repo.lower())
    return round(float(named[1]) * {"b": 1e9, "m": 1e6}[named[2]]) if named else None


def packaged_file(name: str) -> Path | None:
    """The path of `PACKAGE/FILE` in an installed package; None if the package or the file is missing."""
    package, _, file = name.partition("/")
    spec = find_spec(package)
    path = Path(spec.origin).parent / file if spec and spec.origin else None
    return path if path and path.is_file() else None


def _in_safetensors(file: Path) -> int:
    if wrong := torn(file):
        raise ValueError(wrong)
    return sum(map(math.prod, shapes(file)))


def _in_gguf(file: Path) -> int | None:
    if find_spec("gguf") is None:
        return None
    from gguf import GGUFReader

    return sum(int(tensor.n_elements) for tensor in GGUFReader(file).tensors)
