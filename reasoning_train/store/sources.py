"""What an artifact descends from that others made: models and data, with the licences that their cards name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypedDict

from reasoning_train.api.plan import StageNode
from reasoning_train.store.provenance import CARD, MODELS, front_matter


class Source(TypedDict):
    """`{"what": "model", "name": "Qwen/Qwen2.5-0.5B", "hub": True, "license": "apache-2.0"}`."""

    what: str
    """`model` or `data`."""
    name: str
    """The Hub's id, or the name of a file or folder."""
    hub: bool
    license: str
    """Empty if no card names one."""


def sources_of(node: StageNode, kinds: Iterable[str], inputs: Iterable[Mapping[str, Any]]) -> list[Source]:
    """The sources of a node's inputs, by their manifests, and those that its own config names."""
    found = [source for manifest in inputs for source in manifest.get("sources", ())]
    what = "model" if {*MODELS} & set(kinds) else "data"
    found += _named(what, node.config)
    if isinstance(task := node.config.get("task"), Mapping):
        found += _named("data", task)
    return [one for i, one in enumerate(found) if one not in found[:i]]


def _named(what: str, config: Mapping[str, Any]) -> Iterator[Source]:
    """The Hub id, or the local files, that a config names."""
    paths = config.get("paths")
    local = [config.get("path"), *(paths.values() if isinstance(paths, Mapping) else ())]
    for path in (Path(str(path)) for path in local if path):
        yield Source(what=what, name=path.name, hub=False, license=_licence(path) if path.is_dir() else "")
    if (repo := config.get("hub")) and not any(local):
        card = _snapshot(str(repo), what, config.get("revision"))
        yield Source(what=what, name=str(repo), hub=True, license=_licence(card) if card else "")
    for field in ("gguf", "served"):
        if name := config.get(field):
            yield Source(what=what, name=str(name), hub=False, license="")


def _snapshot(repo: str, what: str, revision: Any) -> Path | None:
    """The snapshot of a repository in the local cache; None if it has no card there."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo, CARD, revision=revision, repo_type="dataset" if what == "data" else "model")
    return Path(found).parent if isinstance(found, str) else None


def _licence(folder: Path) -> str:
    """What the front matter of a folder's card says; empty if it says nothing."""
    said = front_matter(folder / CARD).get("license")
    return said if isinstance(said, str) and len(said) < 100 and said.isprintable() else ""
