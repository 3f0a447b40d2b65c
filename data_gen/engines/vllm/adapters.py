"""LoRA adapters that vLLM applies to a running model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_gen.errors import UserError
from data_gen.models.elsewhere import ADAPTER

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Ranks that vLLM supports."""
_AT_THE_ENDS = {"lm_head", "embed_tokens"}


@dataclass(frozen=True, slots=True)
class Adapter:
    """A peft folder, e.g. `Adapter(Path("adapter"), number=1, rank=16, targets=("q_proj", "v_proj"))`."""

    folder: Path
    number: int
    rank: int
    targets: tuple[str, ...]
    """Last parts of the names of the modules that it adapts."""

    def request(self) -> Any:
        """The `LoRARequest` that vLLM takes with a prompt."""
        from vllm.lora.request import LoRARequest

        return LoRARequest(lora_name=str(self.folder), lora_int_id=self.number, lora_path=str(self.folder))


def read_adapters(folders: Sequence[Path]) -> list[Adapter]:
    """UserError for a folder that peft did not save, or for adapters with which vLLM cannot score."""
    return [_read(folder.resolve(), number) for number, folder in enumerate(folders, 1)]


def adapter_settings(adapters: Sequence[Adapter]) -> dict[str, Any]:
    """The engine arguments that reserve room for these adapters."""
    if not adapters:
        return {}
    rank = max(adapter.rank for adapter in adapters)
    return {
        "enable_lora": True,
        "max_loras": len(adapters) + 1,  # on a CPU, rows without an adapter use the last slot: keep it empty
        "max_lora_rank": min(room for room in RANKS if room >= rank),
        # Without this, vLLM also prepares the output layer, and then fails on (or omits) the log-probs of prompts.
        "lora_target_modules": sorted({target for adapter in adapters for target in adapter.targets}),
    }


def _read(folder: Path, number: int) -> Adapter:
    try:
        settings = json.loads((folder / ADAPTER).read_text(encoding="utf-8"))
        rank, targets = int(settings["r"]), settings["target_modules"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"adapter {folder}: its adapter_config.json is not readable ({error}); expected a folder that peft saved."
        ) from error
    names = {name.rpartition(".")[2] for name in targets} if isinstance(targets, list) else set()
    rank = max(rank, *settings.get("rank_pattern", {}).values(), 0)
    if rank > RANKS[-1] or not names or names & _AT_THE_ENDS:
        raise UserError(
            f"adapter {folder}: rank {rank} on {targets}; expected a rank of at most {RANKS[-1]} and a list of modules "
            f"without {' and '.join(sorted(_AT_THE_ENDS))}, for vLLM cannot score with others. Merge it into its base "
            "model."
        )
    return Adapter(folder, number, rank, tuple(sorted(names)))
