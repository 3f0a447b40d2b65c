"""Runs one stage of a hand-made plan as a process of its own: python -m tests.reasoning_train.stage_process PLAN STORE
STAGE."""

from __future__ import annotations

import sys
from pathlib import Path

from reasoning_train.store.plan_json import read_plan
from reasoning_train.store.store import Store
from reasoning_train.worker.run_node import run_node
from tests.reasoning_train import bench

if __name__ == "__main__":
    import torch

    assert bench.STAGES.get("t_problems"), "the hand-made inputs register with their module"
    torch.set_num_threads(1)
    run_node(read_plan(Path(sys.argv[1])), sys.argv[3], Store(Path(sys.argv[2])), report=lambda event: None)
