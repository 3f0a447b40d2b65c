"""Expanding 8 children of a 384-token path on a 0.9M-parameter Llama, one thread: with the path's keys and values still
there, against 8 requests of one that compute it first ("sequential"), `generate` over 8 copies of it ("batched"), and
one request of 8, for which the engine computes it once ("one_prefill").

All decode greedily and must give the same ids. Repeats are interleaved, medians of processor time compared.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.benchmarks._one_thread import one_thread

PATH, CHILDREN, STEP, REPEATS = 384, 8, 32, 9
TARGETS = {"sequential": 4.0, "batched": 1.8, "one_prefill": None}

Ids = list[tuple[int, ...]]


def run() -> Iterator[dict[str, Any]]:
    """The two ratios that issue 3 asks for, and whether the ids agree."""
    with one_thread():
        yield from _figures()


def _figures() -> Iterator[dict[str, Any]]:
    arms, warm = _arms()
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    outputs: dict[str, Ids] = {}
    for _ in range(REPEATS):
        for name, arm in arms.items():
            warm[name]()
            start = time.process_time()
            outputs[name] = arm()
            seconds[name].append(time.process_time() - start)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    for name, target in TARGETS.items():
        ratio = median[name] / median["reused"]
        ok = target is None or ratio >= target
        yield {
            "name": f"expansion_over_{name}",
            "value": round(ratio, 2),
            "unit": "x",
            "target": target and f">= {target}",
            "ok": ok,
        }
    same = sum(outputs["reused"][i] == outputs[name][i] for name in TARGETS for i in range(CHILDREN))
    wanted = CHILDREN * len(TARGETS)
    yield {"name": "expansion_same_ids", "value": same, "unit": f"of {wanted}", "target": wanted, "ok": same == wanted}


def _arms() -> tuple[dict[str, Callable[[], Ids]], dict[str, Callable[[], None]]]:
    """What is timed, and what comes before it untimed."""
    from data_gen.engines.base import Request, Sampling
    from data_gen.engines.local.engine import TransformersEngine

    model = _model()
    path = tuple(random.Random(0).choices(range(2048), k=PATH))
    engine = TransformersEngine(model, None, end_ids=())

    def expand(children: int = CHILDREN, tokens: int = STEP) -> Ids:
        request = Request(
            prefix=path, sampling=Sampling(max_tokens=tokens, temperature=0), seeds=tuple(range(children))
        )
        return [sample.token_ids for sample in asyncio.run(engine.generate(request))]

    def one_by_one() -> Ids:
        rows: Ids = []
        for _ in range(CHILDREN):
            engine.forget()
            rows += expand(1)
        return rows

    def store_path() -> None:
        engine.forget()
        expand(1, 1)

    arms = {
        "sequential": one_by_one,
        "batched": lambda: _generate(model, path),
        "one_prefill": expand,
        "reused": expand,
    }
    return arms, {**dict.fromkeys(arms, engine.forget), "reused": store_path}


def _generate(model: Any, path: tuple[int, ...]) -> Ids:
    import torch

    ids = torch.tensor([path] * CHILDREN)
    out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=STEP, do_sample=False, pad_token_id=0)
    return [tuple(row[PATH:].tolist()) for row in out]


def _model() -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    shape = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(
        vocab_size=2048, max_position_embeddings=512, initializer_range=0.1, eos_token_id=None, **shape
    )
    return LlamaForCausalLM(config).eval()
