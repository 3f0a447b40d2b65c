"""`python -m launch.slurm.close RUN --store STORE`: the last job of a run; notes how its stages ended and writes the
report."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from launch.slurm import progress
from reasoning_train.store.plan_json import read_plan
from reasoning_train.store.run_json import RUN_FILE, read_state
from reasoning_train.store.state_files import write_json
from reasoning_train.store.store import Store


def main() -> int:
    """Return 0 if every stage is finished, else 1."""
    parser = argparse.ArgumentParser(prog="python -m launch.slurm.close", description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--store", type=Path, required=True)
    arguments = parser.parse_args()
    return close(arguments.run, Store(arguments.store))


def close(run: Path, store: Store) -> int:
    """Write `run.json` and the report."""
    from reasoning_train.evaluation.report import write_report
    from reasoning_train.process.plugins import import_plugins

    import_plugins()
    state = read_state(run)
    plan = read_plan(run / "plan.json")
    for name, found in progress.look(run, state, plan, store).items():
        entry = state["nodes"][name]
        artifact = store.find(plan.nodes[name])
        entry["requeues"] = found.requeues
        if found.state == "done" and artifact is not None:
            entry.update(
                state="passed" if "pointer" in artifact.manifest else "ran", wall_s=artifact.manifest["wall_s"]
            )
        else:
            entry.update(
                state=found.state if found.state in ("failed", "not run", "cancelled") else "failed", error=found.note
            )
    unfinished = [name for name, entry in state["nodes"].items() if entry["state"] not in ("ran", "cached", "passed")]
    state["state"] = "failed" if unfinished else "done"
    state["wall_s"] = round(time.time() - (run / "recipe.yaml").stat().st_mtime, 3)
    write_json(run / RUN_FILE, state)
    print(write_report(run, store))
    return 1 if unfinished else 0


if __name__ == "__main__":
    sys.exit(main())
