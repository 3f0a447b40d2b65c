"""Peak memory of a sample-like stage over a scripted engine, from recording to the merged Parquet files."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reasoning_train.store.store import Store
from reasoning_train.worker.run_node import run_node
from tests.benchmarks._resident import resident_mib
from tests.launch.hand_plan import make_plan

SMALL, LARGE = 1_000, 100_000


def run() -> Iterator[dict[str, Any]]:
    """Growth of the peak from 1,000 to 100,000 problems with two solutions each. No near-dedupe index is involved."""
    small, large = (_peak_mib(problems) for problems in (SMALL, LARGE))
    grown = large - small
    name = f"memory.growth_{SMALL}_to_{LARGE}_problems"
    yield {"name": name, "value": round(grown, 1), "unit": "MiB", "target": "<= 32", "ok": grown <= 32}


def _peak_mib(problems: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.benchmarks.memory", str(problems), folder]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def main() -> None:
    """The measured process."""
    from tests.launch import plugin_stages

    assert plugin_stages.NAME
    plan = make_plan({"a": ("t_scripted", {"n": int(sys.argv[1])})})
    run_node(plan, "a", Store(Path(sys.argv[2])), report=lambda event: None)
    print(resident_mib())


if __name__ == "__main__":
    main()
