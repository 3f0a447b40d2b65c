"""Optimizer steps: what cannot change them, which positions they reach, and resuming bit by bit."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM, TrainerCallback, TrainingArguments

from data_gen.errors import UserError
from reasoning_train.packing.plan import Packing, plan_steps
from reasoning_train.packing.rows import Row, Trace
from reasoning_train.trainers.base import SealCheckpoints, StepBatches, train
from reasoning_train.trainers.checkpoints import is_whole, seal
from reasoning_train.trainers.losses.cross_entropy import CrossEntropy
from reasoning_train.trainers.objective import Objective
from reasoning_train.trainers.weights import FILE

VOCAB = 19


def model(attention: str = "sdpa", dropout: float = 0.0) -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        initializer_range=0.3,
        max_position_embeddings=64,
        attn_implementation=attention,
        attention_dropout=dropout,
    )
    return LlamaForCausalLM(config)


def lm(net: Any) -> Objective:
    return Objective(net, [CrossEntropy()])


def rows(n: int = 12) -> list[Row]:
    rng = random.Random(0)
    made = []
    for _ in range(n):
        length, prompt = rng.randint(4, 14), 2
        ids = tuple(rng.randrange(VOCAB) for _ in range(length))
        made.append(Row((Trace(ids=ids, weights=(0.0,) * prompt + (1.0,) * (length - prompt)),)))
    return made


def steps(
    n: int = 4, *, packing: Packing = "sequence", capacity: int = 30, tokens: int = 60, pad: int = 0
) -> StepBatches:
    plan = plan_steps([[i] for i in range(12)], 6, epochs=None, max_steps=n, seed=0)
    return StepBatches(rows(), plan, pad, packing=packing, capacity=capacity, tokens=tokens)


def arguments(folder: Path, **more: Any) -> TrainingArguments:
    fixed: dict[str, Any] = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 1,
        "num_train_epochs": 1,
        "learning_rate": 0.05,
        "logging_steps": 1,
        "save_steps": 2,
        "save_total_limit": 2,
        "report_to": "none",
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "use_cpu": True,
    }
    return TrainingArguments(**{**fixed, **more})


class Curve:
    """Collects the curves that a stage would keep."""

    def __init__(self) -> None:
        self.points: list[dict[str, float]] = []

    def __call__(self, **figures: float) -> None:
        self.points.append(figures)


def curve(folder: Path, made: StepBatches, attention: str = "sdpa") -> list[tuple[float, float]]:
    history = Curve()
    train(lm(model(attention)), made, arguments(folder), [SealCheckpoints(history, lambda *a, **k: None)])
    return [(point["loss"], point["grad_norm"]) for point in history.points]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packing_padding_and_micro_batches_change_neither_loss_nor_gradient(
    tmp_path: Path, attention: str, one_thread: None
) -> None:
    reference = curve(tmp_path / "a", steps(2, packing="none", tokens=1), attention)
    assert len(reference) == 2
    for number, made in enumerate(
        [steps(2), steps(2, packing="none", tokens=10_000), steps(2, capacity=64, tokens=10_000, pad=7)]
    ):
        for (loss, norm), (known_loss, known_norm) in zip(
            curve(tmp_path / f"b{number}", made, attention), reference, strict=True
        ):
            assert loss == pytest.approx(known_loss, rel=2e-5)
            assert norm == pytest.approx(known_norm, rel=2e-5)


def test_the_loss_of_a_step_is_the_mean_over_its_trained_tokens(tmp_path: Path, one_thread: None) -> None:
    made, net = steps(1), model().eval()
    total = count = 0.0
    for index in made.plan[0]:
        [row] = made.rows[index].traces
        with torch.no_grad():
            logp = net(input_ids=torch.tensor([row.ids])).logits[0].log_softmax(-1)
        for t in range(2, len(row.ids)):
            total, count = total - logp[t - 1, row.ids[t]].item(), count + 1
    [(loss, _)] = curve(tmp_path, made)
    assert loss == pytest.approx(total / count, rel=1e-5)


class DieAfter(TrainerCallback):
    """Stands for a kill: leaves training by an exception that nothing catches, after step `step` and before its
    checkpoint if any."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize("die_at", [3, 5])
def test_resumed_training_equals_straight_training_bitwise(tmp_path: Path, die_at: int, one_thread: None) -> None:
    quiet = SealCheckpoints(Curve(), lambda *a, **k: None)
    options = {"lr_scheduler_type": "cosine", "warmup_steps": 2}
    straight = model(dropout=0.2)
    train(lm(straight), steps(7), arguments(tmp_path / "straight", **options), [quiet])
    with pytest.raises(KeyboardInterrupt):
        train(lm(model(dropout=0.2)), steps(7), arguments(tmp_path / "killed", **options), [quiet, DieAfter(die_at)])
    resumed = model(dropout=0.2)
    trainer = train(lm(resumed), steps(7), arguments(tmp_path / "killed", **options), [quiet])
    assert trainer.state.global_step == 7
    for name, value in straight.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_torn_newest_checkpoint_costs_its_steps_only(tmp_path: Path, one_thread: None) -> None:
    quiet = SealCheckpoints(Curve(), lambda *a, **k: None)
    straight, resumed = model(), model()
    train(lm(straight), steps(6), arguments(tmp_path / "straight"), [quiet])
    with pytest.raises(KeyboardInterrupt):
        train(lm(model()), steps(6), arguments(tmp_path / "killed"), [quiet, DieAfter(5)])
    (tmp_path / "killed" / "checkpoint-4" / "optimizer.pt").write_bytes(b"torn")
    train(lm(resumed), steps(6), arguments(tmp_path / "killed"), [quiet])
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in straight.state_dict().items())


@pytest.mark.parametrize(
    ("name", "write"),
    [
        (FILE, lambda path: save_file({"other": torch.ones(3)}, path)),
        ("optimizer.pt", lambda path: torch.save({"state": {}, "param_groups": []}, path)),
        ("rng_state.pth", lambda path: torch.save({}, path)),
        ("trainer_state.json", lambda path: path.write_text('{"odd": 1}')),
    ],
)
def test_a_newest_checkpoint_that_does_not_fit_costs_its_steps_only(
    tmp_path: Path, name: str, write: Callable[[Path], object], one_thread: None
) -> None:
    """Its files can be read, so only the trainer of transformers finds out."""
    quiet = SealCheckpoints(Curve(), lambda *a, **k: None)
    straight, resumed = model(), model()
    train(lm(straight), steps(6), arguments(tmp_path / "straight"), [quiet])
    with pytest.raises(KeyboardInterrupt):
        train(lm(model()), steps(6), arguments(tmp_path / "killed"), [quiet, DieAfter(5)])
    newest = tmp_path / "killed" / "checkpoint-4"
    write(newest / name)
    seal(newest)
    with pytest.raises(UserError, match=r"checkpoint-4 could not be loaded .* Run the same command again"):
        train(lm(model()), steps(6), arguments(tmp_path / "killed"), [quiet])
    assert not newest.exists() and (tmp_path / "killed" / "checkpoint-2").exists()
    train(lm(resumed), steps(6), arguments(tmp_path / "killed"), [quiet])
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in straight.state_dict().items())


class StopAt(TrainerCallback):
    """Ends training early, as `until` does."""

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        control.should_training_stop = state.global_step == 4


def test_a_checkpoint_at_an_early_stop_is_not_resumed_from(tmp_path: Path, one_thread: None) -> None:
    """Resumed from it, training would go on past the stop."""
    quiet = SealCheckpoints(Curve(), lambda *a, **k: None)
    assert train(lm(model()), steps(7), arguments(tmp_path), [quiet, StopAt()]).state.global_step == 4
    assert is_whole(tmp_path / "checkpoint-2")
    assert not is_whole(tmp_path / "checkpoint-4")
    again = train(lm(model()), steps(7), arguments(tmp_path), [quiet, StopAt()])
    assert again.state.global_step == 4


@pytest.mark.parametrize(
    ("count", "said"),
    [(1, r"at step 1 the weight 'model\.[a-z_.]+' is not finite"), (3, "at step 2 the loss .* is nan")],
)
def test_training_that_blows_up_publishes_nothing(tmp_path: Path, count: int, said: str, one_thread: None) -> None:
    """A step of 1e39 leaves no weight that is a number; the next step's loss shows it."""
    quiet = SealCheckpoints(Curve(), lambda *a, **k: None)
    with pytest.raises(UserError, match=f"Training blew up: {said}.*Use a lower learning_rate"):
        train(lm(model()), steps(count), arguments(tmp_path, learning_rate=1e39, lr_scheduler_type="constant"), [quiet])
    assert not is_whole(tmp_path / "checkpoint-2")
