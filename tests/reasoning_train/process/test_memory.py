"""Memory estimates: by hand, against what PyTorch keeps, and at the gate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config

from reasoning_train.api.stage import GateError
from reasoning_train.packing.batch import collate
from reasoning_train.packing.plan import Packing
from reasoning_train.packing.rows import Row, Trace
from reasoning_train.process.memory import GIB, device, passes
from reasoning_train.process.memory.passes import DecoderShape, activation_bytes
from reasoning_train.process.memory.weights import WeightBytes
from reasoning_train.trainers.config import Training
from reasoning_train.trainers.data import preflight
from reasoning_train.trainers.data.preflight import check_memory
from reasoning_train.trainers.losses.cross_entropy import CrossEntropy
from reasoning_train.trainers.objective import Objective
from reasoning_train.trainers.setup import prepare
from tests.reasoning_train.trainers.here import Here

SHAPE = DecoderShape(hidden=8, attention=16, inner=20, layers=3, words=100)


def test_by_hand() -> None:
    """A layer keeps 8 x 8 + 4 x 16 + 4 x 20 = 208 numbers a token, the rest 3 x 8 = 24; four times 5 x 100 logits; 4
    bytes each."""
    assert activation_bytes(SHAPE, 10, logits=0) == 4 * 10 * (3 * 208 + 24) == 25_920
    assert activation_bytes(SHAPE, 10, logits=5) == 25_920 + 4 * 4 * 5 * 100
    assert activation_bytes(SHAPE, 10, logits=5, size=2) == 12_960 + 4 * 4 * 5 * 100
    assert activation_bytes(SHAPE, 10, logits=0, recomputed=True) == 4 * 10 * (208 + 3 * 8 + 24)


def test_the_shape_of_a_config() -> None:
    made = LlamaConfig(
        vocab_size=100,
        hidden_size=8,
        intermediate_size=20,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=4,
    )
    assert DecoderShape.of(made) == SHAPE


def kept(objective: Objective, batch: dict[str, torch.Tensor]) -> int:
    """Bytes that autograd keeps for the backward pass, weights left out."""
    known, found = {p.untyped_storage().data_ptr() for p in objective.parameters()}, dict[int, torch.UntypedStorage]()

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            found[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        sums = objective(batch)
    assert sums
    return sum(storage.nbytes() for storage in found.values())


@pytest.mark.parametrize("recomputed", [False, True])
@pytest.mark.parametrize("packing", ["sequence", "tree"])
@pytest.mark.parametrize("family", [LlamaConfig, Qwen2Config])
def test_against_what_is_kept(family: Any, packing: Packing, recomputed: bool, one_thread: None) -> None:
    """The layer that is whole while it is recomputed comes in the backward pass, so it is not seen here."""
    made = family(
        vocab_size=50,
        hidden_size=64,
        intermediate_size=160,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
    )
    model = prepare(
        AutoModelForCausalLM.from_config(made), Training(learning_rate=1.0, gradient_checkpointing=recomputed)
    )
    objective = Objective(model, [CrossEntropy()]).train()
    rows = [Row((Trace(tuple(i % 50 for i in range(n, n + 128)), (0.0,) + (1.0,) * 127),)) for n in range(8)]
    with objective.packed(packing) as attention:
        found = kept(objective, collate([[row] for row in rows], 0, share=packing == "tree", attention=attention))
    shape = DecoderShape.of(made)
    layer = activation_bytes(shape, 8 * 128, logits=0) - activation_bytes(
        DecoderShape(64, 64, 160, 3, 50), 8 * 128, logits=0
    )
    expected = activation_bytes(shape, 8 * 128, logits=0, recomputed=recomputed) - (layer if recomputed else 0)
    assert found == pytest.approx(expected, rel=0.05)


def test_the_gate_counts_both_and_what_processes_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = AutoModelForCausalLM.from_config(
        LlamaConfig(vocab_size=100, hidden_size=8, num_hidden_layers=1, num_attention_heads=2)
    )
    n, kept = sum(p.numel() for p in model.parameters()), activation_bytes(DecoderShape.of(model.config), 64, logits=32)
    monkeypatch.setattr(preflight, "device_bytes", lambda: 10**6)
    plain = WeightBytes(optimizer=8, gradient=4, weight=0)

    def check(
        free: int, deepspeed: str | None = None, bf16: bool = False, added: WeightBytes = plain, **more: Any
    ) -> None:
        monkeypatch.setattr(preflight, "available_bytes", lambda: free)
        here: Any = Here(tmp_path, deepspeed)
        check_memory(model, here, tokens=64, logits=32, recomputed=False, longest="row", bf16=bf16, added=added, **more)

    def needs(
        wanted: int,
        said: str = r"train adapters \(`lora: {}`\), or spread the optimizer with .*: zero3}`\.",
        **more: Any,
    ) -> None:
        check(wanted, **more)
        said = (
            rf"keeps about .* The longest row: row\. Lower `micro_tokens`, set `gradient_checkpointing: true`, {said}"
        )
        with pytest.raises(GateError, match=said):
            check(wanted - 1, **more)

    needs(12 * n + kept)
    needs(20 * n + kept, added=replace(plain, copies=8))
    needs(12 * n + kept + 250_000, r".*zero2}`, or lower `vllm\.memory`\.", reserved_share=0.25, spread="zero2")
    with pytest.raises(
        GateError, match=r"; 0\.0 GiB are free on this device after the 25% that vLLM reserves\. The longest row"
    ):
        check(0, reserved_share=0.25)
    linear = sum(m.weight.numel() for m in model.modules() if isinstance(m, torch.nn.Linear))
    needs(
        12 * n
        + 2 * linear
        + activation_bytes(DecoderShape.of(model.config), 64, logits=32, size=passes.AUTOCAST_BYTES),
        bf16=True,
    )
    monkeypatch.setattr(preflight, "world_size", lambda: 2)
    monkeypatch.setenv("WORLD_SIZE", "2")
    needs(12 * n + kept)
    for deepspeed, each in (("zero0", 12), ("zero1", 8), ("zero2", 6), ("zero3", 6)):
        needs(each * n + kept, deepspeed=deepspeed)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the share is of the machine's memory")
def test_processes_of_one_machine_share_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_free_on_this_machine", lambda: 6 * GIB)
    assert device.available_bytes() == 6 * GIB
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert device.available_bytes() == 2 * GIB
