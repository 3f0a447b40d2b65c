"""Values of many readings: padded forwards of rows of similar length, with the head applied only at the positions
read."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_gen.engines.local.slot_cache import round_up
from data_gen.verifiers.checkpoint import Verifier
from data_gen.verifiers.reading import Readout
from data_gen.verifiers.value_head import ValueHead

WIDTH_BLOCK = 32
"""Each row is padded to a multiple of this, by its own length alone, so the other rows of the batch do not matter."""
ROW_BLOCK = 8
"""The number of rows of a forward is padded to a multiple of this if results must be bitwise the same in any batch (see
engines/local/unchecked.py)."""
HEAD_BLOCK = 64
"""The head always reads exactly this many positions at once, so that its matrix products have one shape."""
TOKENS = 1 << 14
"""Most padded tokens of one forward."""
LOGITS = 1 << 25
"""Most logits of one forward, for heads that read them: 128 MiB in float32."""


@dataclass(frozen=True, slots=True)
class Forward:
    """Reads with one verifier. On a CPU with one thread it is bitwise independent of batching."""

    verifier: Verifier

    @torch.inference_mode()
    def values(self, readings: Sequence[Readout]) -> list[tuple[float, ...]]:
        """One value per position of each reading, on the head's scale."""
        found: list[tuple[float, ...]] = [()] * len(readings)
        for width, members in batches(readings, self._tokens()):
            batch = [readings[i] for i in members]
            flat = iter(head_values(self.verifier.head, self._features(batch, width)))
            for i, reading in zip(members, batch, strict=True):
                found[i] = tuple(itertools.islice(flat, len(reading.at)))
        return found

    def _tokens(self) -> int:
        return (
            TOKENS
            if self.verifier.head.config.kind != "from_vocab"
            else min(TOKENS, LOGITS // self.verifier.head.width)
        )

    def _features(self, batch: Sequence[Readout], width: int) -> Tensor:
        """The head's input: `[positions of all readings, width of the head]`."""
        output = run(self.verifier.backbone, batch, width)
        states = output.logits if self.verifier.head.config.kind == "from_vocab" else output.last_hidden_state
        rows = [row for row, reading in enumerate(batch) for _ in reading.at]
        return states[_index(rows, states), _index([at for reading in batch for at in reading.at], states)]


@dataclass(frozen=True, slots=True)
class MeanLogprob:
    """Scores with a causal LM: the mean log-probability of what follows the (only) position of each reading. It is
    bitwise independent of batching, as `Forward` is."""

    model: Any

    @torch.inference_mode()
    def values(self, readings: Sequence[Readout]) -> list[tuple[float, ...]]:
        """One number per reading. At least one token must follow its position."""
        found: list[tuple[float, ...]] = [()] * len(readings)
        vocabulary = self.model.config.get_text_config(decoder=True).vocab_size
        for width, members in batches(readings, min(TOKENS, LOGITS // vocabulary)):
            logits = run(self.model, [readings[i] for i in members], width).logits
            for row, i in enumerate(members):
                [start], ids = readings[i].at, readings[i].ids
                logprobs = logits[row, start : len(ids) - 1].float().log_softmax(-1)
                own = logprobs.gather(-1, _index(ids[start + 1 :], logits)[:, None])[:, 0].tolist()
                found[i] = (math.fsum(own) / len(own),)
        return found


def head_values(head: ValueHead, features: Tensor) -> list[float]:
    """Values of features `[positions, width]`."""
    values: list[float] = []
    for chunk in features.split(HEAD_BLOCK):
        block = torch.zeros(HEAD_BLOCK, features.shape[1], dtype=features.dtype, device=features.device)
        block[: len(chunk)] = chunk
        values += head(block)[: len(chunk)].tolist()
    return values


def batches(readings: Sequence[Readout], tokens: int) -> Iterator[tuple[int, list[int]]]:
    """(width, indices of readings) of forwards of at most that many padded tokens."""

    def width_of(i: int) -> int:
        return round_up(len(readings[i].ids), WIDTH_BLOCK)

    for width, group in itertools.groupby(sorted(range(len(readings)), key=width_of), key=width_of):
        members = list(group)
        most = max(ROW_BLOCK, tokens // width // ROW_BLOCK * ROW_BLOCK)
        yield from ((width, members[at : at + most]) for at in range(0, len(members), most))


def run(model: Any, batch: Sequence[Readout], width: int) -> Any:
    """The model's output for right-padded rows. Causal attention keeps padding out of every real position."""
    deterministic = model.device.type == "cpu" and torch.get_num_threads() == 1
    ids = np.zeros((round_up(len(batch), ROW_BLOCK) if deterministic else len(batch), width), np.int64)
    for row, reading in enumerate(batch):
        ids[row, : len(reading.ids)] = reading.ids
    positions = torch.arange(width, device=model.device)[None]
    return model(input_ids=torch.from_numpy(ids).to(model.device), position_ids=positions, use_cache=False)


def _index(values: Sequence[int], like: Tensor) -> Tensor:
    return torch.tensor(values, device=like.device)
