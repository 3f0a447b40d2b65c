"""Runs a hand-made plan as a process of its own, so that tests can kill it: python -m tests.launch.driver PLAN STORE
CORES."""

from __future__ import annotations

import sys
from pathlib import Path

from launch.execute import execute
from reasoning_train.process.plugins import import_plugins
from reasoning_train.store.plan_json import read_plan
from reasoning_train.store.store import Store


def main() -> int:
    """Import the test stages, run, return the exit code."""
    import_plugins()
    return execute(read_plan(Path(sys.argv[1])), Store(Path(sys.argv[2])), int(sys.argv[3]))


if __name__ == "__main__":
    sys.exit(main())
