"""Tries the tokenizer of a foreign folder under limits of time and memory, before this process loads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from data_gen.errors import UserError, first_line
from data_gen.limited_worker import LimitedWorker
from data_gen.models.folder import small_json, unopenable

CPU_SECONDS = 10.0
"""Processor time limit of loading a tokenizer and encoding the probes."""
FILE = "tokenizer.json"
_BESIDE = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
_BRING = "Bring the tokenizer that belongs to the model"
_WORKER = LimitedWorker(
    "data_gen.models.tokenizer_worker",
    CPU_SECONDS,
    name="The process that tries tokenizers",
    advice="Reinstall tokenizers (`pip install --force-reinstall tokenizers`).",
)

T = TypeVar("T")


def check_tokenizer(folder: Path, field: str) -> None:
    """UserError that names `field` for a tokenizer that cannot be read, or that would hold or end the process that
    loads it or encodes with it."""
    if wrong := next(_faults(folder), ""):
        raise UserError(f"{field}: {wrong}.")


def loaded(load: Callable[[Path], T], folder: Path, field: str) -> T:
    """The tokenizer that `load` makes of a folder. UserError that names `field` if it makes none."""
    try:
        return load(folder)
    except Exception as error:  # missing files, unknown classes and damaged vocabularies each raise another type
        raise UserError(
            f"{field}: the tokenizer in {folder} cannot be loaded ({first_line(error)}). {_BRING}, as "
            "`save_pretrained` writes it."
        ) from error


def _faults(folder: Path) -> Iterator[str]:
    if not folder.is_dir():
        yield f"{folder} is no folder; expected one with a tokenizer"
        return
    yield from unopenable(folder)
    for name in _BESIDE:
        if (folder / name).is_file() and not isinstance(small_json(folder / name), dict):
            yield f"{folder / name} is no JSON object. {_BRING}"
    if (folder / FILE).is_file() and (said := _tried(folder / FILE)):
        yield f"{folder / FILE} cannot be used: {said}. {_BRING}"


def _tried(file: Path) -> str:
    """Why it cannot be used; empty if it can."""
    reply = _WORKER.ask({"file": str(file.absolute())})
    if isinstance(reply, dict):
        return str(reply.get("refused", ""))
    return f"it runs for more than {CPU_SECONDS:g} s" if reply == "timeout" else "it needs too much memory, or crashes"
