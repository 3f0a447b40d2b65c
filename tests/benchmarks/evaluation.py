"""What the stage `evaluate` adds to its engine: processor time a sample, and memory over ten times the problems.

An engine without a model answers at once, with one of ten solutions, so that all that is left is the stage's own work:
prompts, steps, verdicts, votes, measures, the log, the table and its intervals.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks._resident import resident_mib

SMALL, LARGE, SAMPLES = 1_000, 10_000, 7
RECIPE = """
name: evaluation
include: [configs/models/tiny.yaml, configs/tasks/chain.yaml]
task: {{test: {problems}}}
stages:
  table:
    {{uses: evaluate, policies: {{it: "${{model}}"}}, problems: "${{task.test}}", samples: {samples}, max_tokens: 64}}
"""


def run() -> Iterator[dict[str, Any]]:
    """Both figures are of what ten times the problems cost more, so that start-up is not in them."""
    small, large = (_measured(problems) for problems in (SMALL, LARGE))
    samples = (LARGE - SMALL) * (1 + SAMPLES)
    added = 1e6 * (large["seconds"] - small["seconds"]) / samples
    grown = large["mib"] - small["mib"]
    yield {
        "name": "evaluation.added_per_sample",
        "value": round(added, 1),
        "unit": "us",
        "target": "<= 100",
        "ok": added <= 100,
    }
    yield {
        "name": f"evaluation.memory_growth_{SMALL}_to_{LARGE}",
        "value": round(grown, 1),
        "unit": "MiB",
        "target": "<= 32",
        "ok": grown <= 32,
    }


def _measured(problems: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.benchmarks.evaluation", str(problems), folder]
        for stages in ("before", "table"):  # each in a process of its own, as a run does it
            said = subprocess.run([*command, stages], check=True, capture_output=True, text=True).stdout
        found: dict[str, float] = json.loads(said.splitlines()[-1])
        return found


def main() -> None:
    """A process that makes what the stage reads, or the measured one."""
    import reasoning_train.models.engine as engines
    from reasoning_train.recipe.load import load_plan
    from reasoning_train.store.store import Store
    from reasoning_train.worker.run_node import run_node

    @contextlib.contextmanager
    def open_scripted(policy: Any, *args: Any, **more: Any) -> Iterator[Any]:
        yield _scripted(policy.codec)

    engines.open_engine = open_scripted
    folder = Path(sys.argv[2])
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.format(problems=sys.argv[1], samples=SAMPLES), encoding="utf-8")
    plan, store = load_plan(recipe, []), Store(folder / "store")
    began = time.process_time()
    for name in [name for name in plan.nodes if (name == "table") == (sys.argv[3] == "table")]:
        run_node(plan, name, store, report=lambda event: None)
    print(json.dumps({"seconds": time.process_time() - began, "mib": resident_mib()}))


def _scripted(codec: Any) -> Any:
    """Ten solutions of two steps, by the seed of the request."""
    from data_gen.engines.scripted import ScriptedEngine

    texts = [f"Ana: 3 + {n} = {n + 3}\nBen: {n + 3} + 2 = {n + 5}\nAnswer: {n + 5}" for n in range(10)]
    said = [[*codec.encode_prompt(text), codec.end_id] for text in texts]
    return ScriptedEngine(lambda prefix, seed: said[seed % 10])


if __name__ == "__main__":
    main()
