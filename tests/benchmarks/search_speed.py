"""MCTS over 64 problems at once against the same search one tree at a time, and against flat sampling of steps of equal
length.

A 0.44M-parameter Llama with random weights, one thread, the engine as stages open it; a step is 12 tokens, so that
every arm decodes the same number of tokens. Arms are interleaved and medians compared, so that a busy machine slows
all.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.benchmarks._one_thread import one_thread

PROBLEMS, SIMULATIONS, CHILDREN, STEP, REPEATS = 64, 24, 4, 12, 3
ONE_BY_ONE = 4
"""Problems of the slow arms: their speed does not depend on how many there are."""
SLOTS = 256


def run() -> Iterator[dict[str, Any]]:
    """The ratios that issue 3 asks for, and the speeds behind them."""
    with one_thread():
        yield from _figures()


def _figures() -> Iterator[dict[str, Any]]:
    bench = Bench()
    arms: dict[str, Callable[[], int]] = {
        "search": lambda: bench.search(PROBLEMS, in_flight=PROBLEMS),
        "one tree": lambda: bench.search(ONE_BY_ONE, in_flight=1),
        # One program a problem, as in the search: its prompt is computed once for all of its samples.
        "flat": lambda: bench.flat(PROBLEMS, in_flight=PROBLEMS, each=SIMULATIONS * CHILDREN),
        "flat narrow": lambda: bench.flat(ONE_BY_ONE, in_flight=1, each=CHILDREN),
    }
    speeds: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(REPEATS):
        for name, arm in arms.items():
            began = time.perf_counter()
            speeds[name].append(arm() / (time.perf_counter() - began))
    speed = {name: statistics.median(found) for name, found in speeds.items()}
    limit = speed["flat"] / speed["flat narrow"]
    batched, share = speed["search"] / speed["one tree"], speed["search"] / speed["flat"]
    target = max(5.0, 0.6 * limit)
    yield {
        "name": "search.over_one_tree_at_a_time",
        "value": round(batched, 2),
        "unit": "x",
        "target": f">= {target:.2f}",
        "ok": batched >= target,
    }
    yield {"name": "search.limit_of_width", "value": round(limit, 2), "unit": "x", "target": None, "ok": True}
    yield {
        "name": "search.share_of_flat_sampling",
        "value": round(share, 3),
        "unit": "x",
        "target": ">= 0.6",
        "ok": share >= 0.6,
    }
    for name, value in speed.items():
        yield {
            "name": f"search.{name.replace(' ', '_')}",
            "value": round(value),
            "unit": "tokens/s",
            "target": None,
            "ok": True,
        }


class Bench:
    """Model, codec and problems of all arms. Each call opens a fresh engine, so nothing is cached from the last."""

    def __init__(self) -> None:
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        from data_gen.format import Format, StepCodec
        from data_gen.tasks.chain import Chain
        from reasoning_train.models.words import word_tokenizer

        task = Chain(uses="chain", explore=PROBLEMS)
        self.problems = list(task.problems("explore"))
        self.codec = StepCodec(Format(), word_tokenizer(task.vocabulary()))
        torch.manual_seed(0)
        shape = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 2, "num_attention_heads": 4}
        config = LlamaConfig(
            vocab_size=len(self.codec.tokenizer), max_position_embeddings=512, eos_token_id=None, **shape
        )
        self.model = LlamaForCausalLM(config).eval()

    def engine(self) -> Any:
        from data_gen.engines.local.engine import TransformersEngine

        return TransformersEngine(self.model, self.codec.tokenizer, end_ids=(), slots=SLOTS, deterministic=True)

    def search(self, problems: int, *, in_flight: int, scorer: Any = None) -> int:
        """Tokens that MCTS draws over so many problems, with values of `scorer` (default: all the same)."""
        from data_gen.engines.base import LM
        from data_gen.engines.programs import run_programs
        from data_gen.records.problem import Problem
        from data_gen.scorers import Tools
        from data_gen.scorers.constant import Constant
        from data_gen.search import Expand, Limits, SearchTree
        from data_gen.search.algorithms.mcts import Mcts

        engine = self.engine()
        search = Mcts(
            simulations=SIMULATIONS, outcome_weight=0, expand=Expand(n=CHILDREN, segment="tokens", max_tokens=STEP)
        )
        scorer = scorer or Constant().open(Tools(codec=self.codec))

        async def grow(problem: Problem, lm: LM) -> None:
            tree = SearchTree(
                problem, lm, self.codec, Limits(max_depth=16, max_length=240), search.scale, scorer=scorer
            )
            await search.grow(tree)

        for _ in run_programs(engine, self.problems[:problems], grow, seed=0, key=lambda p: p.id, in_flight=in_flight):
            pass
        return int(engine.usage.generated_tokens)

    def flat(self, problems: int, *, in_flight: int, each: int) -> int:
        """Tokens of as many steps drawn straight from the prompts, `each` a request."""
        from data_gen.engines.base import LM, Sampling
        from data_gen.engines.programs import run_programs
        from data_gen.records.problem import Problem

        engine = self.engine()

        async def draw(problem: Problem, lm: LM) -> None:
            prompt = self.codec.prompt_ids(problem.question)
            for call in range(SIMULATIONS * CHILDREN // each):
                await lm.at(call).generate(prompt, each, Sampling(max_tokens=STEP))

        for _ in run_programs(engine, self.problems[:problems], draw, seed=0, key=lambda p: p.id, in_flight=in_flight):
            pass
        return int(engine.usage.generated_tokens)
