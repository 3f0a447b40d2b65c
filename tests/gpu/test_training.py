"""Training on the device: one curve however it is packed, bfloat16 near float32, the memory that was foreseen."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from reasoning_train.packing import varlen
from reasoning_train.packing.batch import collate
from reasoning_train.packing.plan import Packing
from reasoning_train.packing.rows import Row, Trace
from reasoning_train.process.memory.passes import AUTOCAST_BYTES, BYTES, DecoderShape, activation_bytes
from reasoning_train.trainers.config import Training
from reasoning_train.trainers.fit import TrainingSource, fit
from reasoning_train.trainers.losses.cross_entropy import CrossEntropy
from reasoning_train.trainers.objective import Objective
from tests.reasoning_train.trainers.here import Here
from tests.reasoning_train.trainers.test_equivalence import check_same, processes

VOCAB = 1000


def llama(hidden: int = 128, layers: int = 2, heads: int = 2, length: int = 256) -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads // 2,
        max_position_embeddings=length,
        initializer_range=0.05,
    )
    return LlamaForCausalLM(config).cuda()


def rows(n: int = 64, tokens: int = 40) -> list[Row]:
    """Four to a problem, which share beginnings."""
    rng = random.Random(0)
    made = []
    for problem in range(n // 4):
        stem = [rng.randrange(VOCAB) for _ in range(tokens)]
        for _ in range(4):
            ids = (*stem[: rng.randint(2, len(stem))], *(rng.randrange(VOCAB) for _ in range(rng.randint(2, tokens))))
            made.append(Row((Trace(ids, (0.0, *(1.0 for _ in ids[1:]))),), group=str(problem)))
    return made


def curve(folder: Path, packing: Packing, *, bf16: bool) -> list[dict[str, float]]:
    here, objective = Here(folder), Objective(llama(), [CrossEntropy()], bf16=bf16)
    config = Training(learning_rate=1e-3, batch_size=16, max_steps=40, micro_tokens=1024, save_every=1000)
    fit(
        objective,
        [TrainingSource(rows())],
        config,
        here,
        packing=packing,
        pad_id=0,
        runs=folder / "runs",
        limit=256,
        together=True,
    )  # type: ignore[arg-type]
    return here.points


@pytest.mark.parametrize("packing", ["sequence", "tree"])
def test_one_curve_however_rows_are_packed(tmp_path: Path, packing: Packing) -> None:
    wanted = curve(tmp_path / "none", "none", bf16=False)
    check_same(curve(tmp_path / "packed", packing, bf16=False), wanted, rel=1e-3)


@pytest.mark.parametrize("packing", ["none", "sequence", "tree"])
def test_bfloat16_is_near_float32(tmp_path: Path, packing: Packing, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = curve(tmp_path / "whole", packing, bf16=False)
    asked, kernel = [], varlen.kernel
    monkeypatch.setattr(varlen, "kernel", lambda: asked.append(True) or kernel())
    found = curve(tmp_path / "bf16", packing, bf16=True)
    assert bool(asked) == (packing != "tree")
    for a, b in zip(found, wanted, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=0.02)


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("recomputed", [False, True])
@pytest.mark.parametrize("packing", ["sequence", "tree"])
def test_memory_is_what_was_foreseen(bf16: bool, recomputed: bool, packing: Packing) -> None:
    """Not less than is taken, and not a third more."""
    model = llama(1024, 8, 16, 2048).train()
    if recomputed:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    objective, tokens = Objective(model, [CrossEntropy()], bf16=bf16), 16 * 1024
    made = [
        [Row((Trace(tuple(random.Random(n).choices(range(VOCAB), k=1024)), (0.0,) + (1.0,) * 1023),))]
        for n in range(16)
    ]
    with objective.packed(packing) as attention:
        batch = {
            name: tensor.cuda()
            for name, tensor in collate(made, 0, share=packing == "tree", attention=attention).items()
        }
        objective(batch)["lm"].backward()
        model.zero_grad(set_to_none=False)
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        objective(batch)["lm"].backward()
        taken = torch.cuda.max_memory_allocated() - before
    size, copies = (AUTOCAST_BYTES, 2 * model.num_parameters()) if bf16 else (BYTES, 0)
    foreseen = copies + activation_bytes(
        DecoderShape.of(model.config), tokens, logits=512, recomputed=recomputed, size=size
    )
    print(
        f"{packing}, bf16={bf16}, recomputed={recomputed}: taken {taken / 2**30:.3f} GiB, foreseen "
        f"{foreseen / 2**30:.3f} GiB"
    )
    assert taken <= foreseen * 1.05 and foreseen < 1.3 * taken


@pytest.mark.parametrize("zero", [0, 1, 2, 3])
@pytest.mark.parametrize("bf16", [False, True])
def test_deepspeed_over_nccl(tmp_path: Path, zero: int, bf16: bool) -> None:
    """One process, for there may be one device; sharding itself is tested on CPUs."""
    wanted = processes(1, tmp_path / "plain", packing="sequence", gpu=True, bf16=bf16)
    found = processes(1, tmp_path / "zero", packing="sequence", gpu=True, bf16=bf16, zero=zero)
    check_same(found, wanted, rel=0.02 if bf16 else 1e-4)
