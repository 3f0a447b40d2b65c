"""The trained tensors of an objective, in and out of checkpoints and out of DeepSpeed's shards."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

FILE = "trained.safetensors"


def save_trained(module: nn.Module, folder: Path) -> None:
    """Parameters that are trained, tied ones once; frozen ones come back from where they were loaded."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: p.detach().cpu().contiguous() for name, p in trained(module)}, folder / FILE, metadata={"format": "pt"}
    )


def load_trained(module: nn.Module, folder: Path) -> None:
    """Put back what `save_trained` wrote."""
    from safetensors.torch import load_file

    put(module, load_file(folder / FILE), folder / FILE)


@torch.no_grad()
def put(module: nn.Module, saved: Mapping[str, Tensor], where: object) -> None:
    """Copy tensors onto the trained parameters of their names. RuntimeError where these are not the same; `where` they
    come from."""
    known = dict(trained(module))
    if saved.keys() != known.keys():
        odd = min(saved.keys() ^ known.keys())
        raise RuntimeError(
            f"{where} holds other tensors than are trained; the first is {odd!r}. Remove the folder to train from the "
            "start."
        )
    for name, parameter in known.items():
        parameter.copy_(saved[name])


def trained(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """(name, parameter) of what is trained, tied ones once."""
    return [(name, p) for name, p in module.named_parameters() if p.requires_grad]


def gathered(trainer: Any) -> nn.Module:
    """The trained objective with whole parameters on every rank, also where ZeRO-3 has cut them up."""
    module = trainer.accelerator.unwrap_model(trainer.model_wrapped)
    cut = [p for p in module.parameters() if hasattr(p, "ds_id")]
    if cut:
        import deepspeed
        from transformers.integrations.deepspeed import unset_hf_deepspeed_config

        with deepspeed.zero.GatheredParameters(cut):
            whole = [p.detach().clone() for p in cut]
        trainer.accelerator.deepspeed_engine_wrapped.engine.destroy()
        unset_hf_deepspeed_config()  # else what one process builds to save is cut up, too, and it waits for the rest
        for parameter, data in zip(cut, whole, strict=True):
            parameter.data = data
    return module
