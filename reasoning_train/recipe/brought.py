"""What a node brings along of other recipes: the descent of the published models that its config names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from data_gen.errors import UserError
from data_gen.models.elsewhere import cached_snapshot
from reasoning_train.api.plan import StageNode
from reasoning_train.recipe.files import texts
from reasoning_train.store.provenance import MODELS, Provenance, provenance_of


def brought_by(node: StageNode, kinds: Iterable[str]) -> list[tuple[str, Provenance]]:
    """(field, what the card says) of every folder and model of the Hub that it names. UserError if a card is damaged.

    Args:
        kinds: Those of its outputs.
    """
    return [(field, provenance_of(folder)) for field, folder in _folders(node)] if {*MODELS} & set(kinds) else []


def _folders(node: StageNode) -> Iterator[tuple[str, Path]]:
    for field, value in node.config.items():
        for text in texts(value):
            if text in node.files and Path(text).is_dir():
                yield field, Path(text)
    repo = node.config.get("hub")
    if isinstance(repo, str):
        with contextlib.suppress(UserError):  # the stage tells what is not on this machine
            yield "hub", cached_snapshot(repo, node.config.get("revision"), "hub")
