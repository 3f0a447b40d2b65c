"""Reading a tree's nodes with a verifier: piece by piece over stored keys and values against whole paths, and what a
search pays for it.

A verifier of the policy's size (0.44M parameters), one thread. Arms are interleaved and medians compared, so that a
busy machine slows all.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

TREES, CHILDREN, STEP, DEPTH, PROMPT, REPEATS = 64, 4, 12, 8, 70, 3


def run() -> Iterator[dict[str, Any]]:
    """Both ways of reading on the same readings, and MCTS with and without the verifier."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield from _reading()
        yield from _searching()
    finally:
        torch.set_num_threads(threads)


def _reading() -> Iterator[dict[str, Any]]:
    from data_gen.verifiers.forward import Forward
    from data_gen.verifiers.stepwise import Stepwise

    verifier, layers = _verifier(), list(_layers())
    times: dict[str, list[float]] = {"stepwise": [], "whole": []}
    worst = 0.0
    for _ in range(REPEATS):
        step, whole = Stepwise(verifier), Forward(verifier)
        for readings in layers:
            found, spent = _timed(lambda: step.values(readings))  # noqa: B023
            times["stepwise"].append(spent)
            expected, spent = _timed(lambda: whole.values(readings))  # noqa: B023
            times["whole"].append(spent)
            worst = max(worst, *(abs(a[-1] - b[-1]) for a, b in zip(found, expected, strict=True)))
    gain = sum(times["whole"]) / sum(times["stepwise"])
    yield {
        "name": "verifying.stepwise_over_whole",
        "value": round(gain, 2),
        "unit": "x",
        "target": ">= 2",
        "ok": gain >= 2,
    }
    yield {"name": "verifying.largest_difference", "value": worst, "unit": "", "target": "<= 1e-4", "ok": worst <= 1e-4}
    tokens = REPEATS * sum(len(reading.ids) for readings in layers for reading in readings)
    for name, spent in times.items():
        value = round(tokens / sum(spent))
        yield {"name": f"verifying.{name}", "value": value, "unit": "read tokens/s", "target": None, "ok": True}


def _searching() -> Iterator[dict[str, Any]]:
    from data_gen.scorers import Tools
    from data_gen.scorers.constant import Constant
    from data_gen.scorers.head import Head
    from data_gen.verifiers.checkpoint import save_verifier
    from tests.benchmarks.search_speed import PROBLEMS, Bench

    bench = Bench()
    speeds: dict[str, list[float]] = {"constant": [], "head": []}
    with tempfile.TemporaryDirectory() as folder:
        save_verifier(_verifier(), Path(folder))
        for _ in range(REPEATS):
            for name, config in (("constant", Constant()), ("head", Head())):
                scorer = config.open(Tools(codec=bench.codec, verifier=Path(folder)))
                tokens, spent = _timed(lambda: bench.search(PROBLEMS, in_flight=PROBLEMS, scorer=scorer))  # noqa: B023
                speeds[name].append(tokens / spent)
    share = statistics.median(speeds["head"]) / statistics.median(speeds["constant"])
    yield {
        "name": "verifying.search_over_unscored_search",
        "value": round(share, 3),
        "unit": "x",
        "target": None,
        "ok": True,
    }


def _verifier() -> Any:
    import torch

    from data_gen.format import Format
    from data_gen.verifiers.checkpoint import Verifier
    from data_gen.verifiers.heads import HeadConfig
    from data_gen.verifiers.value_head import ValueHead
    from tests.benchmarks.search_speed import Bench

    bench = Bench()
    torch.manual_seed(1)
    return Verifier(bench.model.model, ValueHead(HeadConfig(), 128).eval(), bench.codec.tokenizer, Format())


def _layers() -> Iterator[list[Any]]:
    """The children of one node in each of many trees, level by level."""
    from data_gen.verifiers.reading import Readout

    rng = random.Random(0)
    stems = [
        Readout(tuple(rng.randrange(3, 60) for _ in range(PROMPT)), (PROMPT - 1,), (PROMPT,)) for _ in range(TREES)
    ]
    for _ in range(DEPTH):
        children = [[_child(stem, rng) for _ in range(CHILDREN)] for stem in stems]
        yield [child for family in children for child in family]
        stems = [rng.choice(family) for family in children]


def _child(stem: Any, rng: random.Random) -> Any:
    ids = (*stem.ids, *(rng.randrange(3, 60) for _ in range(STEP)))
    return type(stem)(ids, (len(ids) - 1,), (*stem.cuts, len(ids)))


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    return work(), time.perf_counter() - began
