"""Weights that a model folder only refers to: large checkpoints, which are not copied, and the base of an adapter.

Nothing that is published holds a path of this machine. `external.json` of a model folder names a snapshot of the Hub
(`{"hub": ..., "revision": ...}`) or a folder by its bytes (`{"sha256": ..., "name": ...}`). Where such a folder lies is
noted in `places/` of the store, beside the artifacts; each run that names the folder notes it again. An adapter names
its base as `ARTIFACT/OUTPUT`, which is looked for in the folders around the adapter, or as a model of the Hub. Absolute
paths, which earlier versions wrote and other programs write, are read too.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_gen.errors import LoadError, UserError, first_line

POINTER, ADAPTER, PLACES = "external.json", "adapter_config.json", "places"
MOST_PLACES = 8
"""Most places that are noted of one folder."""


def weights_folder(folder: Path) -> Path:
    """The folder with the weights: the folder itself, or the one that its `external.json` refers to. UserError if that
    one is gone."""
    pointer = _pointer(folder)
    if pointer is None:
        return folder
    if "hub" in pointer:
        return cached_snapshot(pointer["hub"], pointer["revision"], f"the model in {folder}")
    found = [Path(pointer["path"])] if "path" in pointer else list(_places(folder, pointer["sha256"]))
    for place in found:
        if place.is_dir():
            return place
    told = pointer.get("path") or f"a folder {pointer['name']!r} with sha256 {pointer['sha256'][:12]}"
    known = f" (looked in {', '.join(map(str, found))})" if found else ""
    raise UserError(
        f"The model in {folder} has its weights elsewhere, in {told}, which is not there{known}. Name the folder in "
        "the recipe (`path`) where it is now, and run it; a folder with the same bytes re-makes nothing."
    )


def point_to_hub(repo: str, snapshot: Path, folder: Path) -> None:
    """Make `folder` refer to the snapshot of a Hub model."""
    _write(folder / POINTER, {"hub": repo, "revision": snapshot.name})


def point_to_place(sha256: str, name: str, folder: Path) -> None:
    """Make `folder` refer to a folder that `note_place` notes. `name` is for readers."""
    _write(folder / POINTER, {"sha256": sha256, "name": name})


def note_place(root: Path, sha256: str, place: Path) -> None:
    """Note in the store at `root` where a folder lies that has these bytes. The newest place is tried first."""
    note, told = root / PLACES / f"{sha256}.json", os.path.abspath(place)
    known = _noted(note)
    if known[:1] == [told]:
        return
    note.parent.mkdir(parents=True, exist_ok=True)
    temporary = note.with_name(f".{note.name}.{uuid.uuid4().hex[:8]}")  # containers share numbers of processes
    _write(temporary, {"paths": [told, *(path for path in known if path != told)][:MOST_PLACES]})
    os.replace(temporary, note)


def is_adapter(weights: Path) -> bool:
    """Whether a folder holds adapters instead of a whole model."""
    return (weights / ADAPTER).exists()


def base_of_adapter(weights: Path) -> Path:
    """The folder of the model that an adapter changes, itself perhaps an adapter. UserError if it is gone."""
    said, revision = _named_base(weights)
    if found := _around(weights, said):
        return weights_folder(found)
    if os.path.isabs(said) or len(Path(said).parts) > 2 or _is_ours(said):
        raise UserError(
            f"The adapter in {weights} was trained on {said}, which is neither there nor in a folder around it. Bring "
            "the model that it was trained on there, or make the adapter again (`reasoning-train run RECIPE --fresh "
            "STAGE`)."
        )
    return cached_snapshot(said, revision, f"the base of the adapter in {weights}")


def whole_model(weights: Path) -> Path:
    """The folder with the whole model: `weights` itself, or what lies under its adapters."""
    seen = [weights]
    while is_adapter(seen[-1]):
        seen.append(base_of_adapter(seen[-1]))
        if seen[-1] in seen[:-1]:
            raise UserError(f"The adapter in {weights} is its own base. Bring a whole copy.")
    return seen[-1]


def unpinned_bases(weights: Path) -> Iterator[Path]:
    """The folders of the models under an adapter, downwards, that are not named by a commit of the Hub, so that the
    adapter's own bytes do not say which they are. UserError if one is gone."""
    whole_model(weights)
    while is_adapter(weights):
        base, (_, revision) = base_of_adapter(weights), _named_base(weights)
        if not (revision == base.name and re.fullmatch("[0-9a-f]{40}", revision)):
            yield base
        weights = base


def refer_to_base(folder: Path, base: Path) -> None:
    """Let the adapter in `folder` name the model `base` that it changes: a model of the Hub by its id, an artifact
    beside it as `ARTIFACT/OUTPUT`, another folder by its path."""
    config = json.loads((folder / ADAPTER).read_text(encoding="utf-8"))
    pointer, named = _pointer(base) or {}, f"{base.parent.name}/{base.name}"
    beside = _around(folder, named) == base.absolute()
    config["base_model_name_or_path"] = pointer.get("hub") or (named if beside else str(base.absolute()))
    config["revision"] = pointer.get("revision")
    (folder / ADAPTER).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def cached_snapshot(repo: str, revision: str | None, field: str) -> Path:
    """The folder of a Hub model in the local cache. UserError names `field` if the model was not fetched."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repo, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError) as error:
        raise UserError(
            f"{field}: {repo!r} at {revision or 'main'} is not on this machine. `reasoning-train fetch RECIPE` brings "
            "it."
        ) from error


def _named_base(weights: Path) -> tuple[str, str | None]:
    """Name and revision of the base in an adapter's config. UserError if it is damaged."""
    try:
        config = json.loads((weights / ADAPTER).read_text(encoding="utf-8"))
        return str(config["base_model_name_or_path"]), config.get("revision")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LoadError(
            f"{weights / ADAPTER} is damaged ({first_line(error)}). Expected an adapter that "
            "names its base (`base_model_name_or_path`). Bring a whole copy."
        ) from None


def _around(folder: Path, said: str) -> Path | None:
    """The folder of a name, which is looked for in `folder` and in the folders around it. An absolute path stands for
    itself."""
    places = (around / said for around in (folder.absolute(), *folder.absolute().parents))
    return next((place for place in places if place.is_dir()), None)


def _is_ours(said: str) -> bool:
    """Whether the name of a base is of an artifact: `sft-4ad4f68ff45a10f1/model`."""
    digits = said.partition("/")[0].rpartition("-")[2]
    return len(digits) == 16 and set(digits) <= set("0123456789abcdef")


def _pointer(folder: Path) -> dict[str, Any] | None:
    """What `external.json` says. UserError if it is damaged."""
    try:
        said = json.loads((folder / POINTER).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError):
        said = None
    forms = ({"path"}, {"hub", "revision"}, {"sha256", "name"})
    if not isinstance(said, dict) or set(said) not in forms or not all(isinstance(one, str) for one in said.values()):
        raise LoadError(f"{folder / POINTER} is damaged. Remove the artifact and run again to re-make it.")
    return said


def _places(folder: Path, sha256: str) -> Iterator[Path]:
    """The places of a folder that the store around `folder` has noted."""
    for around in folder.absolute().parents:
        if (around / PLACES).is_dir():
            yield from map(Path, _noted(around / PLACES / f"{sha256}.json"))


def _noted(note: Path) -> list[str]:
    """A damaged note counts as none: the next run writes it again."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return [str(path) for path in json.loads(note.read_text(encoding="utf-8"))["paths"]]
    return []


def _write(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content), encoding="utf-8")
