"""`gradient_checkpointing: true` through the stages: layers that are computed a second time change nothing that is
learnt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers.models.llama.modeling_llama import LlamaAttention

from reasoning_train.store.store import Artifact
from tests.reasoning_train.bench import Bench
from tests.reasoning_train.stages import test_dpo, test_grpo, test_sft, test_train_verifier

LORA = {"lora": {"r": 4, "alpha": 8}}
TRAINS: dict[str, tuple[Callable[..., Artifact], dict[str, Any]]] = {
    "sft": (test_sft.train, {}),
    "sft with adapters": (test_sft.train, LORA),
    "sft in trees": (test_sft.train, {"packing": "tree"}),
    "dpo": (test_dpo.train, {}),
    "train_verifier": (test_train_verifier.train, {"max_steps": 3}),
    "train_verifier with adapters": (test_train_verifier.train, {"max_steps": 3, **LORA}),
    "grpo": (test_grpo.train, {"policy": "half"}),
    "grpo with adapters": (test_grpo.train, {"policy": "half", "beta": 0.05, **LORA}),
}


@pytest.mark.parametrize("name", TRAINS)
def test_the_same_is_learnt(bench: Bench, one_thread: None, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    train, config = TRAINS[name]
    bench.model()
    if name.startswith("grpo"):
        test_grpo.half_taught(bench)
    elif name.startswith("sft"):
        bench.gold()
    passes, forward = Counter[bool](), LlamaAttention.forward
    made = {}
    for recomputed in (False, True):

        def counted(self: Any, *args: Any, recomputed: bool = recomputed, **more: Any) -> Any:
            passes[recomputed] += self.training  # the check of the model's family before training does not train
            return forward(self, *args, **more)

        monkeypatch.setattr(LlamaAttention, "forward", counted)
        artifact = train(bench, name=f"made_{recomputed}", gradient_checkpointing=recomputed, **config)
        made[recomputed] = load_file(next(artifact.path.rglob("*.safetensors")))
    assert passes[True] > passes[False]
    plain, again = made[False], made[True]
    assert plain.keys() == again.keys()
    for weight, value in plain.items():
        assert torch.allclose(value, again[weight], rtol=1e-4, atol=1e-5), weight
