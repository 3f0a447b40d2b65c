"""Flat sampling with vLLM on a CPU, as the vllm engine does it and as vLLM's own loop does: what searches on vLLM are
measured against.

A 0.44M-parameter Llama with random weights, one thread, blocks of 32; 64 prompts, 16 samples each, in steps of 16
tokens and at 64 tokens. Arms start with an empty prefix cache, are interleaved after a round that warms up, and medians
of this process's CPU seconds compared: all of it runs in one thread, and a busy machine does not slow those. Runs where
vLLM is installed: `make benchmarks-vllm`.
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

if TYPE_CHECKING:
    from data_gen.engines.vllm.engine import VllmEngine

PROMPTS, SAMPLES, STEP, LONG, REPEATS, VOCAB = 64, 16, 16, 64, 3, 60
TARGET = 0.9


def run() -> Iterator[dict[str, Any]]:
    """The engine's share of vLLM's own speed, and the speeds behind it. Skipped where vLLM is not installed."""
    if find_spec("vllm") is None:
        yield skipped("vllm_sampling", "vLLM (make benchmarks-vllm)")
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
                yield from _figures(engine)
    finally:
        torch.set_num_threads(threads)


def _figures(engine: VllmEngine) -> Iterator[dict[str, Any]]:
    prompts = _prompts()
    arms: dict[str, Callable[[], None]] = {
        f"flat_{STEP}": lambda: _flat(engine, prompts, STEP),
        f"bare_{STEP}": lambda: _bare(engine, prompts, STEP),
        f"flat_{LONG}": lambda: _flat(engine, prompts, LONG),
    }
    speeds: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(1 + REPEATS):
        for name, arm in arms.items():
            engine._core.llm.reset_prefix_cache()
            began = time.process_time()
            arm()
            if turn:
                speeds[name].append(PROMPTS * SAMPLES * int(name.partition("_")[2]) / (time.process_time() - began))
    speed = {name: statistics.median(found) for name, found in speeds.items()}
    share = speed[f"flat_{STEP}"] / speed[f"bare_{STEP}"]
    yield {
        "name": "vllm.share_of_bare_loop",
        "value": round(share, 3),
        "unit": "x",
        "target": f">= {TARGET}",
        "ok": share >= TARGET,
    }
    for name, value in speed.items():
        yield {"name": f"vllm.{name}", "value": round(value), "unit": "tokens/s", "target": None, "ok": True}


def _flat(engine: VllmEngine, prompts: list[list[int]], length: int) -> None:
    from data_gen.engines.base import LM, Sampling
    from data_gen.engines.programs import run_programs

    async def draw(number: int, lm: LM) -> None:
        await lm.generate(prompts[number], SAMPLES, Sampling(max_tokens=length))

    for _ in run_programs(engine, range(PROMPTS), draw, seed=0, key=str, in_flight=PROMPTS):
        pass


def _bare(engine: VllmEngine, prompts: list[list[int]], length: int) -> None:
    """The same samples, with their log-probs and seeds, from vLLM's own loop."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    llm = engine._core.llm
    for number, prompt in enumerate(prompts):
        for sample in range(SAMPLES):
            settings = SamplingParams(
                max_tokens=length,
                logprobs=0,
                flat_logprobs=True,
                detokenize=False,
                ignore_eos=True,
                seed=number * SAMPLES + sample,
                output_kind=RequestOutputKind.FINAL_ONLY,
                skip_clone=True,
            )
            llm.add_request(f"bare/{number}/{sample}", {"type": "token", "prompt_token_ids": prompt}, settings)
    while llm.has_unfinished_requests():
        llm.step()


def _prompts() -> list[list[int]]:
    rng = random.Random(0)
    return [rng.choices(range(VOCAB), k=rng.randint(24, 48)) for _ in range(PROMPTS)]


def save_model(folder: Path) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from reasoning_train.models.words import word_tokenizer

    torch.manual_seed(0)
    shape = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(vocab_size=VOCAB, max_position_embeddings=512, eos_token_id=None, bos_token_id=None, **shape)
    LlamaForCausalLM(config).save_pretrained(folder)
    word_tokenizer([f"w{i}" for i in range(VOCAB - 8)]).save_pretrained(folder)
