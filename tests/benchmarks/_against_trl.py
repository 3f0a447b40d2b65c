"""What the benchmarks against TRL share: one model, one set of texts, and a clock that both trainers carry.

Both sides are `transformers.Trainer`s with the same AdamW, in float32, on one thread, without saving. A step is timed
from the end of the one before, so that collating counts.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import statistics
import string
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, product
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from tests.benchmarks._one_thread import one_thread

RATE = 1e-3
SETTINGS: dict[str, Any] = {
    "learning_rate": RATE,
    "lr_scheduler_type": "constant",
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": "none",
    "disable_tqdm": True,
    "use_cpu": True,
    "dataloader_pin_memory": False,
    "num_train_epochs": 1000,
}


class Clock(TrainerCallback):
    """Seconds of processor time of every step but the first, and the loss and gradient norm of all."""

    def __init__(self) -> None:
        self.laps: list[float] = []
        self.curve: list[tuple[float, float]] = []
        self._last: float | None = None

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Read the clock."""
        now = time.process_time()
        if self._last is not None:
            self.laps.append(now - self._last)
        self._last = now

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Keep what must be equal."""
        if logs and "loss" in logs:
            self.curve.append((float(logs["loss"]), float(logs["grad_norm"])))


@contextmanager
def quiet() -> Iterator[None]:
    """One thread, and no progress bars."""
    from datasets import disable_progress_bars

    disable_progress_bars()
    os.environ["TQDM_DISABLE"] = "1"
    with one_thread():
        yield


def tokenizer(words: int) -> Any:
    """Of 2 * words + 5 tokens: each word with and without a space before it."""
    from reasoning_train.models.words import word_tokenizer

    return word_tokenizer([*map("".join, islice(product(string.ascii_lowercase, repeat=3), words))])


def text(tokens: Any, length: int, rng: random.Random) -> str:
    """So many random words, a token each."""
    return "".join(
        rng.choices(sorted(token for token in tokens.get_vocab() if token[0] == " " and len(token) > 1), k=length)
    )


def model(tokens: Any, *, layers: int = 4, context: int = 512) -> Any:
    """A Llama of width 128, the same each time."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokens),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=layers,
        num_attention_heads=4,
        max_position_embeddings=context,
        pad_token_id=tokens.pad_token_id,
        eos_token_id=tokens.eos_token_id,
        bos_token_id=None,
    )
    return LlamaForCausalLM(config)


def ours(
    objective: Any,
    rows: Sequence[Any],
    *,
    packing: str,
    capacity: int,
    tokens: int,
    steps: int,
    clock: Clock,
    folder: Path,
    **more: Any,
) -> None:
    """Train on all rows in every step."""
    from transformers import TrainingArguments

    from reasoning_train.trainers.base import StepBatches, train

    made = StepBatches(rows, [range(len(rows))] * steps, 0, packing=packing, capacity=capacity, tokens=tokens)  # type: ignore[arg-type]
    settings = {
        **SETTINGS,
        "num_train_epochs": 1,
        "per_device_train_batch_size": 1,
        "remove_unused_columns": False,
        **more,
    }
    train(objective, made, TrainingArguments(output_dir=str(folder / "ours"), **settings), [clock])


Arm = Callable[[], Clock]
"""One short training of one side in one setting."""


def interleaved(arms: dict[str, Arm], repeats: int) -> dict[str, list[Clock]]:
    """Every arm in turn, so that a busy machine slows all of them."""
    found: dict[str, list[Clock]] = {name: [] for name in arms}
    for _ in range(repeats):
        for name, arm in arms.items():
            with contextlib.redirect_stdout(io.StringIO()):  # trainers print their logs
                found[name].append(arm())
    return found


def fastest(clocks: dict[str, list[Clock]], side: str) -> tuple[float, str]:
    """Median seconds a step of the side's best setting, and its name."""
    arms = {
        name: [s for clock in runs for s in clock.laps]
        for name, runs in clocks.items()
        if name.rpartition(" ")[0] == side
    }
    return min((statistics.median(laps), name) for name, laps in arms.items())


def disagreement(clocks: dict[str, list[Clock]]) -> float:
    """The largest relative difference between the losses and gradient norms of any two arms, over all steps."""
    return apart([clock.curve for runs in clocks.values() for clock in runs])


def apart(curves: Sequence[Sequence[Sequence[float]]]) -> float:
    """The largest relative difference of any (loss, gradient norm) from the first curve's."""
    points = [pair for curve in curves for pair in zip(curve, curves[0], strict=True)]
    return max(abs(a - b) / abs(b) for point, known in points for a, b in zip(point, known, strict=True))
