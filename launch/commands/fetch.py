"""`fetch`: download the models and datasets of a recipe from the Hugging Face Hub, pinned to commits."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launch.arguments import Subparsers, add_json, add_recipe, command, print_json

MORE = """\
Runs never use the network. This downloads every model and dataset that the recipe names by `hub:` into the Hub's cache
(HF_HOME) and prints the commits to pin. For a machine without network, fetch elsewhere and copy that folder.

  reasoning-train fetch recipes/rejection_sampling/gsm8k.yaml
"""


@dataclass(frozen=True, slots=True)
class HubEntry:
    """One `hub:` of a recipe, e.g. `HubEntry("task", "openai/gsm8k", "main", "dataset")`."""

    path: str
    """Dotted path of the mapping that contains it."""
    repo: str
    revision: str | None
    repo_type: str


def add(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = command(subparsers, "fetch", run, "download the models and datasets that a recipe names, pinned", MORE)
    add_recipe(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Download, print the `--set` lines and record them in the store."""
    from reasoning_train.recipe.includes import load_document
    from reasoning_train.store.state_files import write_json

    entries = list(find_entries(load_document(Path(arguments.recipe), arguments.overrides).value))
    fetched = {}
    for entry in entries:
        folder = _download(entry)
        fetched[entry.path] = {"hub": entry.repo, "revision": folder.name, "folder": str(folder)}
    if fetched:
        arguments.store.mkdir(parents=True, exist_ok=True)
        write_json(arguments.store / "fetched.json", fetched)
    if arguments.json:
        print_json(fetched)
    elif not fetched:
        print("nothing to fetch: the recipe names nothing on the Hub")
    else:
        print(
            "\n".join(
                f"--set {path}.revision={one['revision']}    # {one['hub']} in {one['folder']}"
                for path, one in fetched.items()
            )
        )
    return 0


def find_entries(document: Any, path: str = "") -> Iterator[HubEntry]:
    """Every mapping with a `hub:` that is read. Those below `task` are datasets, the others are models. A task with
    local files does not read its dataset."""
    if not isinstance(document, dict):
        return
    kind = "dataset" if path.split(".")[0] in ("task", "tasks") else "model"
    local = kind == "dataset" and (document.get("path") or document.get("paths"))
    if isinstance(document.get("hub"), str) and not local:
        yield HubEntry(path, document["hub"], document.get("revision"), kind)
    for key, value in document.items():
        yield from find_entries(value, f"{path}.{key}" if path else str(key))


def is_here(entry: HubEntry) -> bool:
    """Whether a snapshot is in this machine's Hub cache and, as far as the cache knows, complete."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        snapshot_download(entry.repo, revision=entry.revision, repo_type=entry.repo_type, local_files_only=True)
    except (LocalEntryNotFoundError, OSError, ValueError):
        return False
    return True


def missing(arguments: argparse.Namespace, home: str | None = None) -> list[str]:
    """Messages for Hub models and datasets of the recipe that are not in the cache. `home`: the `HF_HOME` of its
    jobs."""
    if home:
        os.environ["HF_HOME"] = home  # before the Hub's library reads it
    from reasoning_train.recipe.includes import load_document

    document = load_document(Path(arguments.recipe), arguments.overrides).value
    lines = [
        f"missing: {entry.path}.hub: the {entry.repo_type} {entry.repo!r} is not on this machine"
        for entry in find_entries(document)
        if not is_here(entry)
    ]
    sets = "".join(f" --set {shlex.quote(text)}" for text in arguments.overrides)
    where = f"HF_HOME={shlex.quote(home)} " if home else ""
    return [*lines, f"bring it with `{where}reasoning-train fetch {arguments.recipe}{sets}`"] if lines else []


def _download(entry: HubEntry) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    from data_gen.errors import UserError
    from data_gen.sources.hub import checked_id

    try:
        checked_id(entry.repo)
    except ValueError as error:
        raise UserError(f"{entry.path}.hub: {error}.") from None
    try:
        return Path(snapshot_download(entry.repo, revision=entry.revision, repo_type=entry.repo_type))
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        raise UserError(
            f"{entry.path}.hub: cannot fetch the {entry.repo_type} {entry.repo!r} ({str(error).splitlines()[0]}). "
            "Without network, run this command where there is one and copy the Hub's cache (HF_HOME) here, or name a "
            "local folder or file with `path:` instead."
        ) from error
