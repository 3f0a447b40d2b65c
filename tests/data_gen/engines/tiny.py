"""A tiny random Llama and a tokenizer whose tokens are chosen for awkward stop strings."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any, TypeVar

from data_gen.engines.base import LM, Request, Sample, Sampling
from data_gen.engines.local.engine import TransformersEngine

R = TypeVar("R")

TEXTS = ["<pad>", "<eos>", "a", "b", "\n", "\n\n", "END", "EN", "D", "D!", "x\n", "\n\ny", " ", "E", "N", "."]
VOCAB = len(TEXTS)
CONTEXT = 192


@cache
def model(hidden: int = 32, heads: int = 4) -> Any:
    """3 layers, grouped-query attention, weights wide enough that greedy choices are far apart."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=hidden,
        intermediate_size=hidden * 5 // 2,
        num_hidden_layers=3,
        num_attention_heads=heads,
        num_key_value_heads=heads // 2,
        max_position_embeddings=CONTEXT,
        initializer_range=0.3,
        pad_token_id=1,
        eos_token_id=1,
        bos_token_id=None,
    )
    return LlamaForCausalLM(config).eval()


@cache
def tokenizer() -> Any:
    """One token a text of `TEXTS`; decoding concatenates."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel({text: i for i, text in enumerate(TEXTS)}, unk_token="<pad>"))
    core.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<eos>", pad_token="<eos>", clean_up_tokenization_spaces=False
    )


def engine(**options: Any) -> TransformersEngine:
    """A fresh engine over the tiny model; `end_ids` is empty unless given."""
    return TransformersEngine(model(), tokenizer(), **{"end_ids": (), **options})


def ask(engine: TransformersEngine, *requests: Request) -> list[list[Sample]]:
    """All requests at once; their samples in the order of the requests."""

    async def gather() -> list[list[Sample]]:
        return list(await asyncio.gather(*(engine.generate(request) for request in requests)))

    return asyncio.run(gather())


def request(prefix: tuple[int, ...], seeds: tuple[int, ...] = (0,), **sampling: Any) -> Request:
    """A request with `max_tokens` 24 unless given."""
    return Request(prefix=prefix, seeds=seeds, sampling=Sampling(**{"max_tokens": 24, **sampling}))


def mixed(count: int, **sampling: object) -> list[Request]:
    """Requests of many lengths, for fewer or more tokens."""
    rng = random.Random(1)
    return [
        request(
            tuple(rng.choices(range(VOCAB), k=rng.randint(1, 90))),
            (i,),
            **{"max_tokens": rng.randint(1, 50), **sampling},
        )
        for i in range(count)
    ]


def once(engine: Any, program: Callable[[LM], Awaitable[R]]) -> R:
    """The result of one program."""
    from data_gen.engines.programs import run_programs

    async def on_item(_: str, lm: LM) -> R:
        return await program(lm)

    [(_, result)] = run_programs(engine, ["item"], on_item, seed=0, key=str, in_flight=1)
    return result
