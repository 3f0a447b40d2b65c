"""What the stage `model` tries before any other stage works with a model: the engine, packed training and saving."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from data_gen.engines.local.self_check import INSTEAD, cannot, engine_problem
from data_gen.errors import UserError
from data_gen.models.agreement import causal_class, kept_verdict, largest, plain_logprobs, probes
from reasoning_train.trainers.self_check import BEST, packing_problem, problem_of


def check_family(config: Any) -> list[str]:
    """Lines about what a model with this config cannot do, such as a packing that it cannot be trained with.

    UserError if the engine in this process, padded training or saving does not do what transformers does.
    """
    kind, config = causal_class(config)
    if problem := engine_problem(kind, config):
        raise UserError(f"{cannot(config)}: {problem}. {INSTEAD}")
    if problem := packing_problem(kind, config, "none"):
        raise UserError(
            f"Training does not compute what transformers computes for {config.model_type!r} models: {problem}. Choose "
            "another model."
        )
    if problem := kept_verdict("saving", kind, config, _saved):
        raise UserError(
            f"A {config.model_type!r} model with this config would not survive saving: {problem}. Correct its "
            "config.json, or choose another model."
        )
    lines = [
        f"`packing: {packing}` is not for {config.model_type!r} models: {problem}"
        for packing in BEST
        if (problem := packing_problem(kind, config, packing))
    ]
    if problem := problem_of(kind, config, "left"):
        lines.append(f"`grpo` is not for {config.model_type!r} models: in left-padded rows {problem}")
    return lines


def _saved(model: Any) -> float:
    """The largest difference that saving and loading makes."""
    with _no_progress(), tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder, safe_serialization=True)
        again = type(model).from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
    return largest([plain_logprobs(model, ids) - plain_logprobs(again, ids) for ids in probes(model)])


@contextmanager
def _no_progress() -> Iterator[None]:
    """No progress bars of transformers: a log that tells of shards being written would tell of a twin's."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
