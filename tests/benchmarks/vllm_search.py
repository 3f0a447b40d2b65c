"""MCTS over 64 problems on vLLM against its own flat sampling of steps of equal length: 16 tokens, blocks of 32, one
thread.

The model, the clock (this process's CPU seconds) and the way to run it are those of vllm_sampling.py.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks._skipped import skipped
from tests.benchmarks.vllm_sampling import STEP, VOCAB, save_model

if TYPE_CHECKING:
    from data_gen.engines.vllm.engine import VllmEngine

PROBLEMS, SIMULATIONS, CHILDREN, REPEATS = 64, 16, 4, 3
TARGET = 0.5


def run() -> Iterator[dict[str, Any]]:
    """The share of flat sampling that the search reaches, and how much of its prefixes was cached. Skipped where vLLM
    is not installed."""
    if find_spec("vllm") is None:
        yield skipped("vllm_search", "vLLM (make benchmarks-vllm)")
        return
    import torch

    from data_gen.engines.config import VllmConfig
    from data_gen.engines.vllm.engine import VllmEngine

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            save_model(Path(folder))
            with VllmEngine(Path(folder), end_ids=(), config=VllmConfig(block_size=32)) as engine:
                yield from _figures(engine, Path(folder))
    finally:
        torch.set_num_threads(threads)


def _figures(engine: VllmEngine, folder: Path) -> Iterator[dict[str, Any]]:
    from transformers import AutoTokenizer

    from data_gen.format import Format, StepCodec

    codec = StepCodec(Format(), AutoTokenizer.from_pretrained(folder))
    arms: dict[str, Callable[[], None]] = {
        "search": lambda: _search(engine, codec),
        "flat": lambda: _flat(engine, codec),
    }
    speeds: dict[str, list[float]] = {name: [] for name in arms}
    hits = 0.0
    for turn in range(1 + REPEATS):  # the first round warms up
        for name, arm in arms.items():
            engine._core.llm.reset_prefix_cache()
            before = engine.usage.generated_tokens, engine.usage.prompt_tokens, engine.usage.cached_tokens
            began = time.process_time()
            arm()
            spent = time.process_time() - began
            if turn:
                speeds[name].append((engine.usage.generated_tokens - before[0]) / spent)
            if name == "search":
                hits = (engine.usage.cached_tokens - before[2]) / (engine.usage.prompt_tokens - before[1])
    speed = {name: statistics.median(found) for name, found in speeds.items()}
    share = speed["search"] / speed["flat"]
    yield {
        "name": "vllm.search_share_of_flat",
        "value": round(share, 3),
        "unit": "x",
        "target": f">= {TARGET}",
        "ok": share >= TARGET,
    }
    yield {"name": "vllm.prefix_cache_hits", "value": round(hits, 3), "unit": "of tokens", "target": None, "ok": True}
    for name, value in speed.items():
        yield {
            "name": f"vllm.search_bench_{name}",
            "value": round(value),
            "unit": "tokens/s",
            "target": None,
            "ok": True,
        }


def _search(engine: VllmEngine, codec: Any) -> None:
    from data_gen.engines.base import LM
    from data_gen.engines.programs import run_programs
    from data_gen.records.problem import Problem
    from data_gen.scorers import Tools
    from data_gen.scorers.constant import Constant
    from data_gen.search import Expand, Limits, SearchTree
    from data_gen.search.algorithms.mcts import Mcts

    search = Mcts(
        simulations=SIMULATIONS, outcome_weight=0, expand=Expand(n=CHILDREN, segment="tokens", max_tokens=STEP)
    )
    scorer = Constant().open(Tools(codec=codec))

    async def grow(problem: Problem, lm: LM) -> None:
        limits = Limits(max_depth=16, max_length=16 * STEP)
        await search.grow(SearchTree(problem, lm, codec, limits, search.scale, scorer=scorer))

    problems = [
        Problem(id=str(i), question=question, gold=None, group="", split="") for i, question in enumerate(_questions())
    ]
    for _ in run_programs(engine, problems, grow, seed=0, key=lambda p: p.id, in_flight=PROBLEMS):
        pass


def _flat(engine: VllmEngine, codec: Any) -> None:
    """As many steps drawn straight from the prompts, each prompt computed once."""
    from data_gen.engines.base import LM, Sampling
    from data_gen.engines.programs import run_programs

    async def draw(question: str, lm: LM) -> None:
        await lm.generate(codec.prompt_ids(question), SIMULATIONS * CHILDREN, Sampling(max_tokens=STEP))

    for _ in run_programs(engine, _questions(), draw, seed=0, key=str, in_flight=PROBLEMS):
        pass


def _questions() -> list[str]:
    rng = random.Random(0)
    return [" ".join(f"w{i}" for i in rng.choices(range(VOCAB - 8), k=rng.randint(24, 48))) for _ in range(PROBLEMS)]
