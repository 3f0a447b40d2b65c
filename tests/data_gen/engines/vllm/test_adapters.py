"""LoRA adapters in the vLLM engine: outputs differ from the base's and equal the merged model's. Needs vLLM."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from data_gen.engines.config import VllmConfig
from data_gen.engines.vllm.engine import VllmEngine
from data_gen.errors import UserError
from tests.data_gen.engines.tiny import VOCAB, ask, request
from tests.data_gen.engines.vllm import tiny as vllm_tiny

pytestmark = pytest.mark.vllm


def _adapted(base: Path, folder: Path, seed: int, rank: int) -> tuple[Path, Any]:
    """An adapter with random weights as peft saves it, and the base model with it merged in."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        target_modules=["q_proj", "v_proj", "up_proj", "down_proj"],
        init_lora_weights=False,
    )
    module = get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), config)
    module.save_pretrained(folder)
    return folder, module.merge_and_unload().eval()


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[VllmEngine, list[tuple[Path, Any]]]]:
    base = vllm_tiny.save(tmp_path_factory.mktemp("model"))
    adapters = [_adapted(base, tmp_path_factory.mktemp("adapter"), seed, rank) for seed, rank in ((1, 4), (2, 12))]
    config = VllmConfig(kv_cache_gib=0.1)
    with VllmEngine(base, end_ids=(), config=config, adapters=[folder for folder, _ in adapters]) as running:
        yield running, adapters


def test_adapters_and_their_base_in_one_batch_equal_the_merged_models(
    parts: tuple[VllmEngine, list[tuple[Path, Any]]],
) -> None:
    base, adapters = parts
    rng = random.Random(1)
    requests = [request(tuple(rng.choices(range(VOCAB), k=rng.randint(1, 90))), (i,), temperature=0) for i in range(20)]
    engines = [base, *(base.with_adapter(folder) for folder, _ in adapters)]

    async def all_at_once() -> list[list[Any]]:
        return [await asyncio.gather(*(engine.generate(r) for r in requests)) for engine in engines]

    async def interleaved() -> list[list[Any]]:
        return list(
            await asyncio.gather(*(asyncio.gather(*(engine.generate(r) for r in requests)) for engine in engines))
        )

    answers = asyncio.run(interleaved())
    assert [[s[0].token_ids for s in row] for row in answers] == [
        [s[0].token_ids for s in row] for row in asyncio.run(all_at_once())
    ]
    for row, module in zip(answers, [vllm_tiny.model(), *(module for _, module in adapters)], strict=True):
        wanted = ask(vllm_tiny.transformers_engine(module), *requests)
        assert [samples[0].token_ids for samples in row] == [samples[0].token_ids for samples in wanted]
        for [ours], [theirs] in zip(row, wanted, strict=True):
            assert ours.logprobs == pytest.approx(theirs.logprobs, abs=vllm_tiny.SLACK)
    ids = [[samples[0].token_ids for samples in row] for row in answers]
    assert ids[0] != ids[1] != ids[2] != ids[0]
    assert engines[1].usage.requests == 40 and engines[1].usage.generated_tokens == 2 * sum(map(len, ids[1]))


def test_scores_are_the_adapters(parts: tuple[VllmEngine, list[tuple[Path, Any]]]) -> None:
    base, [_, (folder, module)] = parts
    prefix = tuple(random.Random(2).choices(range(VOCAB), k=70))
    continuations = [(3,), (4, 5, 6), (7,) * 40]
    ask(base, request(prefix))  # cached for the base only
    for scores, continuation in zip(
        asyncio.run(base.with_adapter(folder).score(prefix, continuations)), continuations, strict=True
    ):
        assert scores == pytest.approx(vllm_tiny.plain_logprobs(prefix, continuation, module), abs=vllm_tiny.SLACK)


def test_what_is_no_adapter_of_this_engine_is_refused(
    parts: tuple[VllmEngine, list[tuple[Path, Any]]], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"its adapter_config\.json is not readable"):
        VllmEngine(tmp_path, end_ids=(), adapters=[tmp_path])
    with pytest.raises(UserError, match="was not among the adapters"):
        parts[0].with_adapter(tmp_path)
    for rank, targets in ((1024, ["q_proj"]), (8, ["lm_head"]), (8, "q.*")):
        (tmp_path / "adapter_config.json").write_text(json.dumps({"r": rank, "target_modules": targets}))
        with pytest.raises(UserError, match=r"rank \d+ on .*Merge it"):
            VllmEngine(tmp_path, end_ids=(), adapters=[tmp_path])
