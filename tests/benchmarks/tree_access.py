"""What a tree search asks of the engine, without the search: 64 programs that again and again pick one of their earlier
nodes and ask for 4 children of 12 tokens; against as many independent rows of 12 tokens at full width, and against one
program at a time.

A 0.44M-parameter Llama, one thread, prefixes kept. `ragged` steps are of 10 to 16 tokens, so that programs fall out of
step. Repeats are interleaved, medians of processor time compared.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

PROGRAMS, WAVES, CHILDREN, STEP, PROMPT, REPEATS = 64, 10, 4, 12, 48, 5
FLAT, NARROW = 0.6, 0.6

Steps = Callable[[random.Random], int]


def run() -> Iterator[dict[str, Any]]:
    """Tokens per second of trees over flat sampling and over one tree at a time, with and without determinism."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for deterministic in (False, True):
            yield from _figures("tree_access" + "_deterministic" * deterministic, deterministic)
    finally:
        torch.set_num_threads(threads)


def _figures(name: str, deterministic: bool) -> Iterator[dict[str, Any]]:
    from tests.benchmarks.sampling import _model

    model = _model()
    arms: dict[str, Callable[[], int]] = {
        "flat": lambda: _flat(model, PROGRAMS, deterministic),
        "trees": lambda: _trees(model, PROGRAMS, deterministic, lambda _: STEP),
        "ragged": lambda: _trees(model, PROGRAMS, deterministic, lambda rng: rng.randint(10, 16)),
        "flat narrow": lambda: _flat(model, 1, deterministic),
        "one tree": lambda: _trees(model, 1, deterministic, lambda _: STEP),
    }
    speeds: dict[str, list[float]] = {arm: [] for arm in arms}
    for _ in range(REPEATS):
        for arm, work in arms.items():
            start = time.process_time()
            tokens = work()
            speeds[arm].append(tokens / (time.process_time() - start))
    speed = {arm: statistics.median(each) for arm, each in speeds.items()}
    for arm in ("trees", "ragged"):
        ratio = speed[arm] / speed["flat"]
        yield {
            "name": f"{name}_{arm}_over_flat",
            "value": round(ratio, 3),
            "unit": "x",
            "target": f">= {FLAT}",
            "ok": ratio >= FLAT,
        }
    over_one, limit = speed["trees"] / speed["one tree"], NARROW * speed["flat"] / speed["flat narrow"]
    ok = over_one >= max(limit, 5)
    yield {
        "name": f"{name}_over_one_tree",
        "value": round(over_one, 2),
        "unit": "x",
        "target": f">= {max(limit, 5):.2f}",
        "ok": ok,
    }
    yield {"name": f"{name}_flat", "value": round(speed["flat"]), "unit": "tokens/s", "target": None, "ok": True}


def _prompt(number: int) -> tuple[int, ...]:
    return tuple(random.Random(number).choices(range(60), k=PROMPT))


def _trees(model: Any, in_flight: int, deterministic: bool, steps: Steps) -> int:
    """The tokens of all programs (a few of them, where only one runs at a time)."""
    from data_gen.engines.base import LM, Sampling

    async def tree(number: int, lm: LM) -> None:
        rng, nodes = random.Random(number), [_prompt(number)]
        for wave in range(WAVES):
            node = rng.choice(nodes)
            samples = await lm.at(wave).generate(node, CHILDREN, Sampling(max_tokens=steps(rng)), prompt_length=PROMPT)
            nodes += [(*node, *sample.token_ids) for sample in samples]

    return _run(model, in_flight, deterministic, tree)


def _flat(model: Any, in_flight: int, deterministic: bool) -> int:
    """As many rows of a step, all from the prompt; where only one program runs at a time, `CHILDREN` rows at a time."""
    from data_gen.engines.base import LM, Sampling

    async def rows(number: int, lm: LM) -> None:
        n, calls = (WAVES * CHILDREN, 1) if in_flight > 1 else (CHILDREN, WAVES)
        for call in range(calls):
            await lm.at(call).generate(_prompt(number), n, Sampling(max_tokens=STEP), prompt_length=PROMPT)

    return _run(model, in_flight, deterministic, rows)


def _run(model: Any, in_flight: int, deterministic: bool, program: Callable[..., Any]) -> int:
    from data_gen.engines.local.engine import TransformersEngine
    from data_gen.engines.programs import run_programs

    engine = TransformersEngine(model, None, end_ids=(), deterministic=deterministic)
    programs = range(PROGRAMS if in_flight > 1 else PROGRAMS // 16)
    for _ in run_programs(engine, programs, program, seed=0, key=str, in_flight=in_flight):
        pass
    return engine.usage.generated_tokens
