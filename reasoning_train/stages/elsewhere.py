"""Stages that use weights in place: from a folder outside the store, or from the Hub's cache."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from data_gen.errors import UserError
from data_gen.models.elsewhere import cached_snapshot, point_to_hub, point_to_place, unpinned_bases
from reasoning_train.api.digest import path_digest
from reasoning_train.api.stage import Context, gate


class Named(Protocol):
    """A config that names weights: either a `path` or a Hub id."""

    @property
    def path(self) -> Path | None:
        """A local folder."""

    @property
    def hub(self) -> str | None:
        """A Hub id, with `revision`."""

    @property
    def revision(self) -> str | None:
        """A branch, tag or commit."""

    @property
    def base(self) -> str | None:
        """What `base_of` says, so that it is part of the key."""


def base_of(config: Named) -> str | None:
    """What identifies the models under an adapter of the Hub that its own commit does not: for each `NAME@COMMIT`, or
    the digest of a folder. None if there are none, or they are not here. The digest of a `path` has them in it."""
    if config.hub is None:
        return None
    try:
        found = [*unpinned_bases(cached_snapshot(config.hub, config.revision, "hub"))]
    except UserError:  # the stage, which loads them, tells what is missing or damaged
        return None
    return ", ".join(map(_identity, found)) or None


def _identity(folder: Path) -> str:
    if folder.parent.name != "snapshots":
        return path_digest(folder)
    return f"{folder.parent.parent.name.removeprefix('models--').replace('--', '/')}@{folder.name}"


def refer(config: Named, field: str, ctx: Context, out: Path) -> Path:
    """Make the output refer to the weights that the config names, without a path of this machine, and return their
    folder. GateError if its files are not whole or an adapter's base is not the one in the key, UserError for a
    tokenizer that must not be loaded."""
    from data_gen.models.folder import faults
    from data_gen.models.tokenizer_check import check_tokenizer

    if config.path is None:
        weights = cached_snapshot(config.hub or "", config.revision, f"{field}.hub")
        point_to_hub(config.hub or "", weights, out)
    else:
        weights = config.path
        point_to_place(ctx.place(weights), weights.name, out)
    wrong = next(faults(weights), "")
    gate(not wrong, f"{field}: {wrong}.")
    base = base_of(config)
    gate(
        base == config.base,
        f"{field}.base is {config.base or 'not known'}, but under the adapter in {weights}, which names no commit of "
        f"its base, there is {base or 'none'} here. Run again without `base` to use what is here, or fetch the other.",
    )
    check_tokenizer(weights, field)
    return weights
