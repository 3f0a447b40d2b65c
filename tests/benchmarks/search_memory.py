"""Peak memory of the `search` stage over ten times the problems, above what imports and the model take."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks._resident import resident_mib

SMALL, LARGE = 1_000, 10_000
RECIPE = """
name: search_memory
include: [configs/models/tiny.yaml, configs/tasks/chain.yaml]
task: {{explore: {problems}}}
stages:
  trees:
    uses: search
    policy: ${{model}}
    problems: ${{task.explore}}
    gold: true
    scorer: {{uses: constant}}
    search: {{uses: mcts, simulations: 8, max_depth: 6, max_length: 64, expand: {{n: 4, max_tokens: 12}}}}
"""


def run() -> Iterator[dict[str, Any]]:
    """Growth of the peak from recording to the merged Parquet files."""
    small, large = (_peak_mib(problems) for problems in (SMALL, LARGE))
    grown = large - small
    name = f"search.memory_growth_{SMALL}_to_{LARGE}_problems"
    yield {"name": name, "value": round(grown, 1), "unit": "MiB", "target": "<= 32", "ok": grown <= 32}


def _peak_mib(problems: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.benchmarks.search_memory", str(problems), folder]
        # As a run does it, every stage in a process of its own: what generating problems leaves in the heap is not the
        # search's.
        for stages in ("before", "trees"):
            said = subprocess.run([*command, stages], check=True, capture_output=True, text=True).stdout
        return float(said.split()[-1])


def main() -> None:
    """A process that makes what the search reads, or the measured one."""
    from reasoning_train.recipe.load import load_plan
    from reasoning_train.store.store import Store
    from reasoning_train.worker.run_node import run_node

    folder = Path(sys.argv[2])
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.format(problems=sys.argv[1]), encoding="utf-8")
    plan, store = load_plan(recipe, []), Store(folder / "store")
    for name in [name for name in plan.nodes if (name == "trees") == (sys.argv[3] == "trees")]:
        run_node(plan, name, store, report=lambda event: None)
    print(resident_mib())


if __name__ == "__main__":
    main()
