"""The worker of every launcher: it runs an assignment and turns the result into an event and an exit code.

`reasoning_train.stage` reads an assignment from its command line (torchrun, SLURM, by hand). The local runner sends one
to a forked process. Both call `work`.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from data_gen.errors import UserError, nearest
from reasoning_train.api.plan import Plan
from reasoning_train.process import lease, ranks, stopping
from reasoning_train.worker.context import Report

DONE, FAILED, BAD_INPUT, STOPPED, TAKEN_OVER = 0, 1, 2, 75, 76
"""Exit codes. STOPPED (EX_TEMPFAIL of sysexits.h): progress is kept, and the same command continues from it.
TAKEN_OVER: another process works on the same artifact; the same command waits for it, and takes its result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One stage, or one shard of it: `Assignment(recipe=Path("recipe.yaml"), stage="sample", store=Path("store"),
    shard=(0, 4))`."""

    recipe: Path
    """A recipe, or the plan.json of a run."""
    stage: str
    store: Path
    shard: tuple[int, int] | None = None
    """(k, n): only record shard k of n. None: work on what no shard has recorded, merge and publish."""
    threads: int | None = None
    """Intra-op threads. None: `threads` of the stage's `resources`, else one."""
    overrides: tuple[str, ...] = ()
    """`--set` overrides, each `a.b=c`."""
    key: str | None = None
    """Refuse to run unless the stage's key starts with this."""
    merge_only: bool = False
    """Refuse to run unless every shard has been recorded."""


def work(assignment: Assignment, report: Report) -> int:
    """Run an assignment in this process and return its exit code.

    Args:
        assignment: What is to be done.
        report: Receives the events of the stage, and one of `{"event": "outcome", "outcome": ...}` or `{"event":
            "error", "message": ..., "internal": ...}`, unless the process was asked to stop.
    """
    try:
        outcome = _do(assignment, report)
    except stopping.Stopped:
        print("stopped on request; progress is kept", flush=True)
        return STOPPED
    except lease.TakenOver as gone:
        print(f"{gone} while this one did not run; it is left to that one", flush=True)
        report({"event": "taken over"})
        return TAKEN_OVER
    except UserError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        report({"event": "error", "message": str(error), "internal": False})
        return BAD_INPUT
    except Exception as error:
        traceback.print_exc()
        report({"event": "error", "message": f"{type(error).__name__}: {error}", "internal": True})
        return FAILED
    report({"event": "outcome", "outcome": outcome})
    return DONE


def _do(assignment: Assignment, report: Report) -> str:
    from reasoning_train.process.plugins import import_plugins
    from reasoning_train.store.store import Store
    from reasoning_train.worker.distributed import run_distributed
    from reasoning_train.worker.run_node import run_node

    import_plugins()
    plan, name, store = _plan(assignment), assignment.stage, Store(assignment.store)
    if name not in plan.nodes:
        raise UserError(f"STAGE: the recipe has no stage {name!r}.{nearest(name, plan.nodes)}")
    node = plan.nodes[name]
    if assignment.key and not node.key.startswith(assignment.key):
        raise UserError(
            f"--key: stage {name!r} has the key {node.key[:16]}, not {assignment.key}: since the job was submitted the "
            "code or a file that the recipe names has changed. Submit the recipe again."
        )
    threads = assignment.threads or node.resources.get("threads") or 1
    shard, merge_only = assignment.shard, assignment.merge_only
    if ranks.world_size() == 1:
        return run_node(plan, name, store, report=report, shard=shard, threads=threads, merge_only=merge_only)
    if shard or merge_only:
        raise UserError("--shard: under torchrun the processes are the shards, or train together. Leave it out.")
    return run_distributed(plan, name, store, report=report, threads=threads)


def _plan(assignment: Assignment) -> Plan:
    if assignment.recipe.suffix == ".json":
        from reasoning_train.store.plan_json import read_plan

        return read_plan(assignment.recipe)
    from reasoning_train.recipe.load import load_plan

    load: Callable[..., Plan] = load_plan
    return load(assignment.recipe, assignment.overrides)
