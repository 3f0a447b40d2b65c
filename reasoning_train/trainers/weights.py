"""Saves and loads the trained tensors of an objective, and gathers them from DeepSpeed's shards."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reasoning_train.process import lease

FILE = "trained.safetensors"


def save_trained(module: nn.Module, folder: Path) -> None:
    """Write the trained parameters, tied ones once. Frozen ones are loaded again from their source."""
    lease.require()
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: p.detach().cpu().contiguous() for name, p in trained(module)}, folder / FILE, metadata={"format": "pt"}
    )


def load_trained(module: nn.Module, folder: Path) -> None:
    """Load what `save_trained` wrote."""
    from safetensors.torch import load_file

    put(module, load_file(folder / FILE), folder / FILE)


@torch.no_grad()
def put(module: nn.Module, saved: Mapping[str, Tensor], where: object) -> None:
    """Copy tensors into the trained parameters of the same names. RuntimeError if the names differ. `where`: their
    origin, for the message."""
    known = dict(trained(module))
    if saved.keys() != known.keys():
        odd = min(saved.keys() ^ known.keys())
        raise RuntimeError(
            f"{where} holds tensors other than those that are trained; the first is {odd!r}. Remove the folder "
            "to train from the start."
        )
    for name, parameter in known.items():
        parameter.copy_(saved[name])


def trained(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """(name, parameter) of all trained parameters, tied ones once."""
    return [(name, p) for name, p in module.named_parameters() if p.requires_grad]


def gathered(trainer: Any) -> nn.Module:
    """The trained objective with whole parameters on every rank, gathered if ZeRO-3 sharded them."""
    module = trainer.accelerator.unwrap_model(trainer.model_wrapped)
    cut = [p for p in module.parameters() if hasattr(p, "ds_id")]
    if cut:
        import deepspeed
        from transformers.integrations.deepspeed import unset_hf_deepspeed_config

        with deepspeed.zero.GatheredParameters(cut):
            whole = [p.detach().clone() for p in cut]
        trainer.accelerator.deepspeed_engine_wrapped.engine.destroy()
        unset_hf_deepspeed_config()  # else a model that one process builds to save is sharded, too, and hangs
        for parameter, data in zip(cut, whole, strict=True):
            parameter.data = data
    return module
