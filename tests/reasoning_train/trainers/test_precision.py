"""Passes in bfloat16, weights and optimizer in float32: close to training in float32, however it is packed and
sharded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from data_gen.errors import UserError
from reasoning_train.models.policy import load_policy
from reasoning_train.trainers.config import Lora, Optimising
from reasoning_train.trainers.setup import load_options
from tests.reasoning_train.bench import Bench
from tests.reasoning_train.stages.test_sft import kitchen, train, weights  # noqa: F401
from tests.reasoning_train.trainers.distributed import objective, run
from tests.reasoning_train.trainers.test_equivalence import processes

NOISE = 0.02
"""Of a loss or norm in bfloat16, whose numbers have 8 bits: relative."""


def check_near(found: list[dict[str, float]], wanted: list[dict[str, float]]) -> None:
    """Within the noise of bfloat16, and not the same numbers. Adam's first steps go by signs alone, so behind the first
    only what sums over everything is compared."""
    assert len(found) == len(wanted) > 2
    for step, (a, b) in enumerate(zip(found, wanted, strict=True)):
        last = step == len(wanted) - 1
        for name in (
            ("weights",) if last else ("loss",) if step else ("loss", "loss_cross_entropy", "loss_mse", "grad_norm")
        ):
            assert a[name] == pytest.approx(b[name], rel=NOISE), (step, name)
    assert [point.get("loss") for point in found] != [point.get("loss") for point in wanted]


@pytest.mark.parametrize("packing", ["none", "sequence", "tree"])
def test_near_float32_however_rows_are_packed(tmp_path: Path, packing: str, one_thread: None) -> None:
    check_near(run(tmp_path / "half", packing=packing, bf16=True), run(tmp_path / "whole", packing=packing))


@pytest.mark.slow
@pytest.mark.parametrize("zero", [None, 0, 1, 2, 3])
def test_near_float32_on_two_processes(tmp_path: Path, zero: int | None, one_thread: None) -> None:
    check_near(
        processes(2, tmp_path / "half", packing="tree", bf16=True, zero=zero), run(tmp_path / "whole", packing="tree")
    )


def test_what_is_kept_is_float32(tmp_path: Path, one_thread: None) -> None:
    """And what comes out of a pass, which losses compute with."""
    run(tmp_path, bf16=True, steps=2)
    kept = load_file(tmp_path / "checkpoint-2" / "trained.safetensors")
    moments = torch.load(tmp_path / "checkpoint-2" / "optimizer.pt", weights_only=True)["state"]
    assert {value.dtype for value in kept.values()} == {torch.float32}
    assert {value.dtype for state in moments.values() for value in state.values()} == {torch.float32}
    from reasoning_train.packing.batch import collate
    from tests.reasoning_train.trainers.distributed import rows

    with torch.no_grad():
        out = objective(bf16=True).outputs(collate([[row] for row in rows()], 0, share=False))
    assert out.logprobs.dtype == out.raw.dtype == torch.float32


def test_steps_too_small_for_bfloat16_move_every_weight(kitchen: Bench) -> None:  # noqa: F811
    """At 1e-6, weights of bfloat16 would stay where they are: the next number is 0.4 % away."""
    config = {"precision": "bfloat16", "learning_rate": 1e-6, "max_steps": 4, "save_every": 2, "schedule": "constant"}
    before = weights(kitchen.store.open(kitchen.nodes["model"]))
    with pytest.MonkeyPatch.context() as patch:
        from reasoning_train.trainers import fit

        seen: list[dict[str, torch.Tensor]] = []

        def gathered(trainer: Any) -> Any:
            made = trainer.accelerator.unwrap_model(trainer.model_wrapped)
            seen.append({name: p.detach().clone() for name, p in made.model.named_parameters()})
            return made

        patch.setattr(fit, "gathered", gathered)
        published = weights(train(kitchen, **config))
    moved = [(seen[0][name] != value).float().mean().item() for name, value in before.items()]
    assert min(moved) > 0.1 and {value.dtype for value in published.values()} == {torch.bfloat16}
    assert all(
        torch.equal(published[name], value.to(torch.bfloat16)) for name, value in seen[0].items() if name in published
    )


def test_weights_that_stay_as_they_are_take_less() -> None:
    def dtype(deepspeed: str | None = None, **config: Any) -> torch.dtype:
        return load_options(Optimising(learning_rate=1.0, **config), "sft", deepspeed)["dtype"]

    assert dtype() == dtype(precision="bfloat16") == torch.float32
    assert dtype(precision="bfloat16", lora=Lora()) == torch.bfloat16
    assert (
        dtype(precision="bfloat16", lora=Lora(), deepspeed="zero2")
        == dtype(precision="float32", lora=Lora())
        == torch.float32
    )


def test_four_bits_are_not_sharded(kitchen: Bench) -> None:  # noqa: F811
    problems = list(Optimising(learning_rate=1.0, lora=Lora(bits=4)).placement_problems(2, "zero2"))
    assert len(problems) == 1 and problems[0].startswith(
        "lora.bits: weights in 4 bits cannot be sharded (resources.deepspeed='zero2')."
    )
    assert not list(Optimising(learning_rate=1.0, lora=Lora(bits=4)).placement_problems(2, None))


def test_adapters_on_weights_of_bfloat16(kitchen: Bench) -> None:  # noqa: F811
    whole, half = (
        train(kitchen, name, lora={"r": 4}, precision=name, max_steps=20) for name in ("float32", "bfloat16")
    )
    assert {value.dtype for value in weights(half).values()} == {torch.bfloat16}
    curves = [
        [json.loads(line)["loss"] for line in (made.path / "history.jsonl").read_text().splitlines()]
        for made in (whole, half)
    ]
    assert len(curves[0]) == 2 and curves[1] == pytest.approx(curves[0], rel=NOISE) and curves[1] != curves[0]


def test_an_adapter_that_was_kept_is_not_merged_into_4_bits(kitchen: Bench) -> None:  # noqa: F811
    kept = train(kitchen, "kept", lora={"r": 4}, adapter="keep").path / "model"
    with pytest.raises(
        UserError, match="lora.bits: the policy in .* keeps its adapter beside its base.*Make it with `adapter: merge`"
    ):
        load_policy(kept, quantization_config=object())


def test_a_precision_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="'auto', 'float32' or 'bfloat16'"):
        Optimising(learning_rate=1.0, precision="half")  # type: ignore[arg-type]
