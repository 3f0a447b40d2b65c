"""Compares the engine with plain forward passes, on a small twin of the model: sampling, continuing and scoring."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

from data_gen.checkpoints import unwrapped
from data_gen.engines.base import Request, Sample, Sampling
from data_gen.engines.local.unchecked import UncheckedEngine
from data_gen.errors import UserError
from data_gen.models.agreement import kept_verdict, largest, plain_logprobs, probes
from data_gen.models.windows import odd_layers

PROMPTS = (13, 5, 11)
"""Tokens of each row that are the prompt: on both sides of a twin's window."""
SAMPLED, FED = 12, 5
"""Tokens sampled after a prompt, and how many of them the next request begins with."""


def engine_problem(kind: Any, config: Any) -> str | None:
    """Why the engine cannot run `kind(config)`; None if it agrees with the plain forward."""
    if kind._is_stateful:
        return "its layers keep a state besides the keys and values of past tokens"
    return odd_layers(config) or kept_verdict("engine", kind, config, _difference)


def check_engine(model: Any) -> None:
    """UserError if the engine and the plain forward of this model's family and settings differ."""
    if problem := engine_problem(type(unwrapped(model)), unwrapped(model).config):
        raise UserError(f"{cannot(model.config)}: {problem}. {INSTEAD}")


INSTEAD = (
    "Sample from it with `engine: {uses: vllm}` or with a server (`engine: {uses: openai, ...}`), or choose another "
    "model."
)


def cannot(config: Any) -> str:
    """How a refusal begins."""
    return f"The engine in this process does not compute what transformers computes for {config.model_type!r} models"


def _difference(model: Any) -> float:
    """The largest difference of a log-probability."""
    with ThreadPoolExecutor(1) as thread:  # an event loop may be running in this one
        return thread.submit(lambda: asyncio.run(_compared(model))).result()


async def _compared(model: Any) -> float:
    engine, rows = UncheckedEngine(model, None, end_ids=[], slots=8), probes(model)
    prompts = [row[: min(n, len(row) // 2)] for row, n in zip(rows, PROMPTS, strict=True)]
    sampled = await _sample(engine, prompts)
    longer = [(*p, *s.token_ids[:FED], row[-1]) for p, s, row in zip(prompts, sampled, rows, strict=True)]
    continued = await _sample(engine, longer)
    parts = [(row[len(p) :], row[len(p) + 2 :]) for p, row in zip(prompts, rows, strict=True)]
    scores = await asyncio.gather(*(engine.score(p, both) for p, both in zip(prompts, parts, strict=True)))
    given = [
        *((p, s.token_ids, s.logprobs) for p, s in zip([*prompts, *longer], [*sampled, *continued], strict=True)),
        *(
            (p, ids, logprobs)
            for p, both, two in zip(prompts, parts, scores, strict=True)
            for ids, logprobs in zip(both, two, strict=True)
        ),
    ]
    return largest(
        [plain_logprobs(model, (*p, *ids))[len(p) - 1 :] - torch.tensor(found) for p, ids, found in given if ids]
    )


async def _sample(engine: Any, prefixes: list[tuple[int, ...]]) -> list[Sample]:
    asked = [Request(prefix=p, sampling=Sampling(max_tokens=SAMPLED), seeds=(1,)) for p in prefixes]
    return [samples[0] for samples in await asyncio.gather(*map(engine.generate, asked))]
