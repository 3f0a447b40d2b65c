"""Held-out rows, early stops, best weights and averages: by themselves, together, and across kills."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from reasoning_train.api.stage import GateError
from reasoning_train.packing.plan import Packing
from reasoning_train.packing.rows import Row, Trace
from reasoning_train.process.memory.weights import WeightBytes
from reasoning_train.trainers import fit as fit_module
from reasoning_train.trainers.average import Average
from reasoning_train.trainers.base import StepBatches
from reasoning_train.trainers.config import HeldOut, Training
from reasoning_train.trainers.data.held_out import EVALUATIONS, hold_out, means
from reasoning_train.trainers.fit import TrainingSource, fit
from reasoning_train.trainers.losses.cross_entropy import CrossEntropy
from reasoning_train.trainers.objective import Objective
from reasoning_train.trainers.weights import FILE
from tests.reasoning_train.trainers.here import Here
from tests.reasoning_train.trainers.test_training import DieAfter, lm, model, rows, steps


def run(
    folder: Path, sources: list[TrainingSource] | None = None, *, objective: Objective | None = None, **config: Any
) -> tuple[Objective, Here]:
    callbacks = config.pop("callbacks", [])
    made, here = objective or lm(model()), Here(folder)
    fixed: dict[str, Any] = {"learning_rate": 0.05, "batch_size": 4, "max_steps": 8, "save_every": 2}
    fit(
        made,
        sources or [TrainingSource(grouped())],
        Training(**{**fixed, **config}),
        here,
        packing="sequence",
        pad_id=0,
        runs=folder / "runs",
        limit=64,
        callbacks=callbacks,
    )  # type: ignore[arg-type]
    return made, here


def grouped(n: int = 12) -> list[Row]:
    """Two rows a problem."""
    return [Row(row.traces, group=f"p{i // 2}") for i, row in enumerate(rows(n))]


def weights(objective: Objective) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in objective.state_dict().items()}


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, b[name]) for name, value in a.items())


def test_whole_problems_are_held_out() -> None:
    made = grouped(40)
    held = hold_out(made, 0.25, 0)
    assert len(held) == 10 and {made[i].group for i in held}.isdisjoint(
        {row.group for i, row in enumerate(made) if i not in held}
    )
    assert held == hold_out(made, 0.25, 0) != hold_out(made, 0.25, 1)
    with pytest.raises(GateError, match="held_out: all 2 rows belong to one problem"):
        hold_out(made[:2], 0.5, 0)


def test_what_is_held_out_is_not_trained_on_and_its_loss_is_the_mean_over_its_tokens(
    tmp_path: Path, one_thread: None
) -> None:
    made, here = run(tmp_path, held_out={"share": 0.3, "every": 4, "keep": "last"})
    assert here.counts == {"held_out": 4}
    dev = [grouped()[i] for i in sorted(hold_out(grouped(), 0.3, 0))]
    evaluations = [point for point in here.points if "dev_loss" in point]
    assert [point["step"] for point in evaluations] == [4, 8]
    assert evaluations[-1]["dev_cross_entropy"] == evaluations[-1]["dev_loss"]
    total = count = 0.0
    for row in dev:
        [trace] = row.traces
        with torch.no_grad():
            logp = made.model(input_ids=torch.tensor([trace.ids])).logits[0].log_softmax(-1)
        total -= sum(logp[t - 1, trace.ids[t]].item() for t in range(2, len(trace)))
        count += len(trace) - 2
    assert evaluations[-1]["dev_loss"] == pytest.approx(total / count, rel=1e-5)
    assert here.metrics["held_out"]["last_loss"] == evaluations[-1]["dev_loss"]


def test_patience_ends_it_and_the_best_weights_are_put_in_place(tmp_path: Path, one_thread: None) -> None:
    """Random rows cannot be generalised from: learning them by heart makes the others worse."""
    options: dict[str, Any] = {"max_steps": 60, "learning_rate": 0.03}
    watched = {"share": 0.5, "every": 1, "patience": 3}
    best, here = run(tmp_path / "best", held_out=watched, **options)
    evaluations = [point["dev_loss"] for point in here.points if "dev_loss" in point]
    at = evaluations.index(min(evaluations))
    assert len(evaluations) == at + 4 < 60 and here.metrics["held_out"] == {
        "best_step": at + 1,
        "best_loss": evaluations[at],
        "last_loss": evaluations[-1],
        "evaluations": len(evaluations),
    }
    short, _ = run(
        tmp_path / "short",
        held_out={**watched, "patience": None, "keep": "last"},
        **{**options, "max_steps": 60},
        callbacks=[Stop(at + 1)],
    )
    assert equal(weights(best), weights(short))
    last, _ = run(tmp_path / "last", held_out={**watched, "keep": "last"}, **options)
    assert not equal(weights(best), weights(last))


class Stop(DieAfter):
    """Ends training after a step."""

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        control.should_training_stop = control.should_training_stop or state.global_step == self.step


def test_an_average_by_hand(tmp_path: Path, one_thread: None) -> None:
    class Keep(DieAfter):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            seen.append(weights(objective))

    objective, seen = lm(model()), list[dict[str, torch.Tensor]]()
    mean = weights(objective)
    run(tmp_path, objective=objective, max_steps=3, ema=0.75, callbacks=[Keep(0)])
    for each in seen:
        mean = {name: 0.75 * value + 0.25 * each[name] for name, value in mean.items()}
    assert all(torch.allclose(value, mean[name], atol=1e-7) for name, value in weights(objective).items())
    assert not equal(weights(objective), seen[-1])


@pytest.mark.parametrize("die_at", [3, 6])
def test_killed_and_resumed_it_is_the_same_to_the_last_bit(tmp_path: Path, die_at: int, one_thread: None) -> None:
    """Average, evaluations and best weights outlive the kill, also evaluations behind the checkpoint."""
    config: dict[str, Any] = {"ema": 0.5, "held_out": {"share": 0.3, "every": 1}, "max_steps": 9, "save_every": 4}
    straight, here = run(tmp_path / "straight", **config)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", **config, callbacks=[DieAfter(die_at)])
    resumed, again = run(tmp_path / "killed", **config)
    assert equal(weights(straight), weights(resumed))
    assert again.metrics["held_out"] == here.metrics["held_out"]
    assert json.loads((tmp_path / "killed" / "best" / EVALUATIONS).read_text()) == json.loads(
        (tmp_path / "straight" / "best" / EVALUATIONS).read_text()
    )


@pytest.mark.parametrize(
    "damage",
    [
        lambda best: (best / EVALUATIONS).write_text("[[1, 0.5"),
        lambda best: os.truncate(best / FILE, 100),
        lambda best: (best / FILE).unlink(),
        lambda best: (best / EVALUATIONS).unlink(),
        lambda best: (best / EVALUATIONS).write_text("[[1, 0.5]]"),
        lambda best: ((best / EVALUATIONS).unlink(), (best / EVALUATIONS).mkdir()),
        lambda best: ((best / FILE).unlink(), (best / FILE).mkdir()),
        lambda best: ((best / EVALUATIONS).unlink(), (best / EVALUATIONS).symlink_to("nowhere")),
    ],
    ids=["evaluations", "weights", "no weights", "no evaluations", "few evaluations", "folders", "folder", "link"],
)
def test_training_begins_again_where_its_best_step_is_lost(
    tmp_path: Path, damage: Callable[[Path], object], one_thread: None
) -> None:
    config: dict[str, Any] = {
        "held_out": {"share": 0.3, "every": 1},
        "learning_rate": 3.0,
        "max_steps": 5,
        "save_every": 2,
    }
    straight, here = run(tmp_path / "straight", **config)
    assert here.metrics["held_out"]["best_step"] == 1  # no later one is saved over the damage
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", **config, callbacks=[DieAfter(3)])
    damage(tmp_path / "killed" / "best")
    resumed, again = run(tmp_path / "killed", **config)
    assert equal(weights(straight), weights(resumed))
    assert again.metrics["held_out"] == here.metrics["held_out"]


def test_sources_are_mixed_by_their_shares(tmp_path: Path, one_thread: None) -> None:
    """Rows of the second source say token 3 and nothing else; three of four rows of a step are of it."""
    said = [Row((Trace(ids=(1, 3, 3, 3), weights=(0.0, 1.0, 1.0, 1.0)),), group=f"q{i}") for i in range(2)]
    seen = list[list[Row]]()

    class Look(CrossEntropy):
        def normalizer(self, row: Row) -> float:
            seen[-1:] = [[*(seen[-1] if seen else []), row]]
            return super().normalizer(row)

    run(
        tmp_path,
        [TrainingSource(grouped()), TrainingSource(said, share=3.0)],
        objective=Objective(model(), [Look()]),
        max_steps=4,
    )
    assert sum(row in said for row in seen[0]) == 12 and len(seen[0]) == 16


def test_a_source_that_is_held_out_whole_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GateError, match="held_out: a source has no rows left to train on"):
        run(
            tmp_path,
            [TrainingSource(grouped(2)), TrainingSource([Row(row.traces, group="other") for row in rows(2)])],
            held_out={"share": 0.5},
        )


AVERAGED = WeightBytes(optimizer=8, gradient=4, weight=0, copies=4)


@pytest.mark.parametrize("micro_tokens", [1, 40, 8192])
@pytest.mark.parametrize("packing", ["none", "sequence", "tree"])
def test_memory_is_checked_for_the_largest_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packing: Packing, micro_tokens: int
) -> None:
    class Checked(Exception):
        pass

    def check(*_: Any, **found: Any) -> None:
        raise Checked(found["tokens"], found["logits"], found["added"])

    monkeypatch.setattr(fit_module, "check_memory", check)
    made, config = (
        grouped(),
        Training(learning_rate=0.1, batch_size=12, max_steps=1, micro_tokens=micro_tokens, ema=0.9),
    )
    with pytest.raises(Checked) as caught:
        fit(
            lm(model()),
            [TrainingSource(made)],
            config,
            Here(tmp_path),
            packing=packing,
            pad_id=0,
            runs=tmp_path,
            limit=64,
        )  # type: ignore[arg-type]
    capacity = micro_tokens if packing == "tree" else 64
    [step] = StepBatches(made, [list(range(12))], 0, packing=packing, capacity=capacity, tokens=micro_tokens)
    shapes = [(batch["input_ids"].numel(), len(batch["predict_at"])) for batch in step["batches"]]
    assert caught.value.args == (
        max(tokens for tokens, _ in shapes),
        max(predicted for _, predicted in shapes),
        AVERAGED,
    )


@pytest.mark.parametrize("wanted", [{"ema": 0.9}, {"held_out": HeldOut()}])
def test_zero3_is_refused(wanted: dict[str, Any]) -> None:
    config = Training(learning_rate=0.1, **wanted)
    [said] = config.placement_problems(2, "zero3")
    assert said.startswith(f"{next(iter(wanted))}: needs whole weights on every process, which ZeRO-3")
    assert not list(config.placement_problems(2, "zero2")) and not list(config.placement_problems(1, None))


def test_means_do_not_depend_on_how_rows_are_packed(one_thread: None) -> None:
    objective = lm(model())
    found = [means(objective, steps(4, **how), "cpu") for how in ({}, {"packing": "none"}, {"tokens": 1})]  # type: ignore[arg-type]
    assert found[1] == pytest.approx(found[0], rel=1e-6) and found[2] == pytest.approx(found[0], rel=1e-6)


def test_an_average_for_a_while() -> None:
    objective = lm(model())
    before, average = weights(objective), Average(objective, 0.5)
    average.weights = {name: torch.zeros_like(p) for name, p in objective.named_parameters()}
    with average.applied():
        assert not any(p.any() for p in objective.parameters())
    assert equal(before, weights(objective))
