"""Stages that use weights in place: from a folder outside the store, or from the Hub's cache."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

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


def refer(config: Named, field: str, ctx: Context, out: Path) -> Path:
    """Make the output refer to the weights that the config names, without a path of this machine, and return their
    folder. GateError if its files are not whole, UserError for a tokenizer that must not be loaded."""
    from data_gen.models.elsewhere import cached_snapshot, point_to_hub, point_to_place
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
    check_tokenizer(weights, field)
    return weights
