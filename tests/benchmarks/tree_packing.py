"""Training on trees as trees against padded paths, forward and backward, a 0.9M-parameter Llama on one thread.

`values`: regression at the ends of steps on a tree of 121 nodes (64-token prompt, 16-token steps, 3 children, depth 4),
as 81 padded paths or as one tree. `pairs`: 8 siblings of one node as 4 pairs behind a 384-token prefix, 32-token steps,
a DPO loss without a reference. Each side takes its best micro-batch; both read the vocabulary at trained tokens only.
Padded paths have no padding (all are of one length) and run with plain causal attention. Batches are made beforehand,
the cutting of trees into attention calls is timed. Arms are interleaved, medians of processor time compared.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.benchmarks._full_tree import drawn, full_tree, sharing

REPEATS = 5
PROMPT, STEP, CHILDREN, DEPTH = 64, 16, 3, 4
PREFIX, SIDE, SIBLINGS, NODES = 384, 32, 8, 4
VOCAB = 128
Pass = Callable[[Any], Any]
"""One forward pass over a module's model and its loss."""


def run() -> Iterator[dict[str, Any]]:
    """Gains, their shares of what sharing allows, and the largest difference between the gradients of all arms."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield from _figures("values", *_values())
        yield from _figures("pairs", *_pairs())
    finally:
        torch.set_num_threads(threads)


def _figures(name: str, sharing: float, tokens: int, arms: dict[str, list[Pass]]) -> Iterator[dict[str, Any]]:
    sides = {"padded": _Side(trees=False), "tree": _Side(trees=True)}
    times: dict[str, list[float]] = {arm: [] for arm in arms}
    gradients = []
    for repeat in range(REPEATS + 1):  # the first warms up
        for arm, passes in arms.items():
            side = sides[arm.split()[0]]
            start = time.process_time()
            gradient = side.train(passes)
            if repeat:
                times[arm].append(time.process_time() - start)
            else:
                gradients.append(gradient)
    best = {
        side: min((statistics.median(spent), arm) for arm, spent in times.items() if arm.startswith(side))
        for side in sides
    }
    gain = best["padded"][0] / best["tree"][0]
    worst = max(float((g - gradients[0]).norm() / gradients[0].norm()) for g in gradients)
    wanted = 0.8 * sharing if name == "values" else 4.0
    yield {
        "name": f"tree_packing.{name}",
        "value": round(gain, 2),
        "unit": "x",
        "target": f">= {wanted:.2f}",
        "ok": gain >= wanted,
    }
    yield {
        "name": f"tree_packing.{name}_over_sharing",
        "value": round(gain / sharing, 3),
        "unit": "s",
        "target": None,
        "ok": True,
    }
    yield {
        "name": f"tree_packing.{name}_difference",
        "value": worst,
        "unit": "",
        "target": "<= 1e-5",
        "ok": worst <= 1e-5,
    }
    for spent, arm in best.values():
        yield {
            "name": f"tree_packing.{name} {arm}",
            "value": round(tokens / spent),
            "unit": "path tok/s",
            "target": None,
            "ok": True,
        }


class _Side:
    """A model with a value head, as stock transformers runs it or attending in trees."""

    def __init__(self, *, trees: bool) -> None:
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        from data_gen.verifiers.heads import HeadConfig
        from data_gen.verifiers.value_head import ValueHead
        from reasoning_train.packing.tree_attention import forest_attention

        torch.manual_seed(0)
        shape: dict[str, Any] = {
            "hidden_size": 128,
            "intermediate_size": 384,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
        }
        self.model = LlamaForCausalLM(LlamaConfig(vocab_size=VOCAB, max_position_embeddings=512, **shape))
        self.head = ValueHead(HeadConfig(), 128, init_std=0.1)
        self.attention = forest_attention(self.model) if trees else None

    def train(self, passes: Sequence[Pass]) -> Any:
        """Forward and backward over all passes; returns the gradient."""
        import torch

        parameters = [*self.model.parameters(), *self.head.parameters()]
        for parameter in parameters:
            parameter.grad = None
        for each in passes:
            each(self).backward()
        return torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])

    def outputs(self, batch: Any, forests: Sequence[Any]) -> Any:
        """What losses read from one pass."""
        from reasoning_train.trainers.logprobs import read_logits
        from reasoning_train.trainers.outputs import Outputs

        where = (
            {"input_ids": batch["input_ids"], "position_ids": batch["position_ids"]}
            if forests
            else {"input_ids": batch["input_ids"]}
        )
        how = {}
        if self.attention is not None:
            how = self.attention.arguments({**batch, **self.attention.tensors(forests, batch["input_ids"].shape[1])})
        states = self.model.model(**where, **how, use_cache=False).last_hidden_state.flatten(0, 1)
        unique = read_logits(self.model, states[batch["predict_at"]], batch["predict_label"])["chosen"]
        raw = self.head.raw(states[batch["read_at"]])
        return Outputs(batch=batch, logprobs=unique[batch["token"]], raw=raw[batch["value"]], head=self.head)


def _values() -> tuple[float, int, dict[str, list[Pass]]]:
    from reasoning_train.trainers.losses.mse import MSE

    paths = full_tree(random.Random(0), VOCAB, prompt=PROMPT, step=STEP, children=CHILDREN, depth=DEPTH)
    ends = tuple(range(PROMPT + STEP - 1, PROMPT + DEPTH * STEP, STEP))
    arms = {f"padded {n}": _passes(paths, n, share=False, ends=ends, loss=MSE()) for n in (4, 8, 16, 32)}
    arms |= {f"tree {n}": _passes(paths, n, share=True, ends=ends, loss=MSE()) for n in (27, 81)}
    return sharing(paths), sum(map(len, paths)), arms


def _pairs() -> tuple[float, int, dict[str, list[Pass]]]:
    import torch.nn.functional as F

    rng = random.Random(1)
    prefixes = [drawn(rng, VOCAB, PREFIX) for _ in range(NODES)]
    paths = [prefix + drawn(rng, VOCAB, SIDE) for prefix in prefixes for _ in range(SIBLINGS)]

    def loss(out: Any) -> Any:
        better, worse = out.trace_logprobs.view(-1, 2).unbind(-1)
        return -F.logsigmoid(0.1 * (better - worse)).sum()

    arms = {f"padded {n}": _passes(paths, n, share=False, start=PREFIX, loss=loss) for n in (2, 4, 8, 16)}
    arms |= {f"tree {n}": _passes(paths, n, share=True, start=PREFIX, loss=loss) for n in (8, 16, 32)}
    return sharing(paths), sum(map(len, paths)), arms


def _passes(
    paths: Sequence[tuple[int, ...]],
    n: int,
    *,
    share: bool,
    loss: Callable[[Any], Any],
    ends: tuple[int, ...] = (),
    start: int = 1 << 30,
) -> list[Pass]:
    """Passes of n paths: a padded row each, or one packed row."""
    from reasoning_train.packing.batch import collate
    from reasoning_train.packing.forest import grow
    from reasoning_train.packing.rows import Row, Trace

    def trace(ids: tuple[int, ...]) -> Trace:
        weights = tuple(float(t >= start) for t in range(len(ids)))
        return Trace(ids, weights, ends, (0.3,) * len(ends), (1.0,) * len(ends))

    def one(traces: list[Trace]) -> Pass:
        rows = [Row((each,)) for each in traces]
        batch = collate([rows] if share else [[row] for row in rows], 0, share=share)
        forests = [grow(traces, share=True)] if share else []
        return lambda side: loss(side.outputs(batch, forests))

    return [one([trace(ids) for ids in paths[at : at + n]]) for at in range(0, len(paths), n)]
