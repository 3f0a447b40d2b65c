"""Continuous batching against padded `generate`: 512 requests whose lengths spread 8x, on a 0.44M-parameter Llama, one
thread.

Both decode greedily, without an end token, exactly the tokens each request asks for; `generate` runs every batch until
its longest row. Repeats are interleaved and medians compared, so that a busy machine slows both.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.benchmarks._one_thread import one_thread

REQUESTS, REPEATS, WIDTHS = 512, 3, (32, 64, 128, 256)
TARGET = 1.3

Asked = tuple[int, list[int], int]
"""(number, prefix, tokens wanted)"""


def run() -> Iterator[dict[str, Any]]:
    """The ratio that issue 2 asks for, the two speeds behind it, and the ratio to `generate` on requests sorted by
    known length."""
    with one_thread():
        yield from _figures()


def _figures() -> Iterator[dict[str, Any]]:
    model, requests = _model(), _requests()
    arms: dict[str, Callable[[], dict[int, list[int]]]] = {"engine": lambda: _engine(model, requests)}
    for width in WIDTHS:
        arms[f"generate {width}"] = lambda width=width: _generate(model, requests, width)
        arms[f"generate sorted {width}"] = lambda width=width: _generate(
            model, sorted(requests, key=lambda r: r[2]), width
        )
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    outputs: dict[str, dict[int, list[int]]] = {}
    for _ in range(REPEATS):
        for name, arm in arms.items():
            start = time.perf_counter()
            outputs[name] = arm()
            seconds[name].append(time.perf_counter() - start)
    tokens = sum(r[2] for r in requests)
    speed = {name: tokens / statistics.median(times) for name, times in seconds.items()}
    best = max((f"generate {width}" for width in WIDTHS), key=lambda name: speed[name])
    best_sorted = max(v for name, v in speed.items() if "sorted" in name)
    same = sum(outputs[best][number] == outputs["engine"][number] for number, _, _ in requests)
    ratio = speed["engine"] / speed[best]
    yield {
        "name": "sampling_speedup",
        "value": round(ratio, 3),
        "unit": f"x of {best}",
        "target": f">= {TARGET}",
        "ok": ratio >= TARGET,
    }
    yield {
        "name": "sampling_same_ids",
        "value": same,
        "unit": f"of {REQUESTS} requests",
        "target": REQUESTS,
        "ok": same == REQUESTS,
    }
    yield {"name": "sampling_engine", "value": round(speed["engine"]), "unit": "tokens/s", "target": None, "ok": True}
    yield {"name": "sampling_generate", "value": round(speed[best]), "unit": "tokens/s", "target": None, "ok": True}
    sorted_ratio = round(speed["engine"] / best_sorted, 3)
    yield {
        "name": "sampling_speedup_known_lengths",
        "value": sorted_ratio,
        "unit": "x of sorted generate",
        "target": None,
        "ok": True,
    }


def _model() -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    shape = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 2, "num_attention_heads": 4}
    # A wide initial range makes greedy choices far apart, so that rounding does not decide them.
    config = LlamaConfig(vocab_size=60, max_position_embeddings=512, initializer_range=0.1, eos_token_id=None, **shape)
    return LlamaForCausalLM(config).eval()


def _requests() -> list[Asked]:
    rng = random.Random(0)
    return [(i, rng.choices(range(60), k=rng.randint(24, 48)), rng.randint(16, 128)) for i in range(REQUESTS)]


def _engine(model: Any, requests: Sequence[Asked]) -> dict[int, list[int]]:
    from data_gen.engines.base import LM, Sampling
    from data_gen.engines.local.engine import TransformersEngine
    from data_gen.engines.programs import run_programs

    async def ask(request: Asked, lm: LM) -> list[int]:
        [sample] = await lm.generate(request[1], 1, Sampling(max_tokens=request[2], temperature=0))
        return list(sample.token_ids)

    engine = TransformersEngine(model, None, end_ids=())
    answers = run_programs(engine, requests, ask, seed=0, key=lambda r: str(r[0]), in_flight=REQUESTS)
    return {request[0]: ids for request, ids in answers}


def _generate(model: Any, requests: Sequence[Asked], width: int) -> dict[int, list[int]]:
    import torch

    rows: dict[int, list[int]] = {}
    for first in range(0, len(requests), width):
        batch = requests[first : first + width]
        longest, wanted = max(len(r[1]) for r in batch), max(r[2] for r in batch)
        pads = [longest - len(prefix) for _, prefix, _ in batch]
        ids = torch.tensor([[0] * pad + prefix for pad, (_, prefix, _) in zip(pads, batch, strict=True)])
        mask = torch.tensor([[0] * pad + [1] * (longest - pad) for pad in pads])
        out = model.generate(ids, attention_mask=mask, max_new_tokens=wanted, do_sample=False, pad_token_id=0)
        rows |= {r[0]: row[longest : longest + r[2]].tolist() for r, row in zip(batch, out, strict=True)}
    return rows
