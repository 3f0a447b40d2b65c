"""The worker: runs one stage, or one shard of it, in this process.

    python -m reasoning_train.stage RECIPE STAGE [--shard K/N] [--store DIR] [--set a.b=c ...]
    torchrun --nproc-per-node 8 -m reasoning_train.stage RECIPE STAGE

Without `--shard` it waits for its turn, works on what no shard has recorded, merges and publishes. With `--shard` it
only records; K counts from 0 to N-1. The processes of one torchrun, `deepspeed` or `accelerate launch` train together
if the stage is a trainer; in a data stage, rank r is shard r. Events are printed as JSON lines.

exit codes: 0 done, 1 failed, 2 something to fix, 75 stopped by the signal with progress kept (0 under torchrun),
76 (under torchrun) taken over by another process while this one was frozen
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from reasoning_train.process import ranks, stopping
from reasoning_train.process.orphans import end_with_parent
from reasoning_train.process.streams import give_up, open_standard_streams
from reasoning_train.worker.work import DONE, STOPPED, TAKEN_OVER, Assignment, work

SIGNALS = ("USR1", "USR2", "HUP", "CONT")


def main() -> int:
    """Run the worker's command line and return the exit code."""
    open_standard_streams()
    if ranks.launched():
        end_with_parent()
    arguments = _parser().parse_args()
    number = signal.Signals[f"SIG{arguments.stop_signal}"]
    _leave_note(arguments.note, "began")
    stopping.on(number)
    if arguments.stop_on_term:
        stopping.on_termination()
    if arguments.stop_after is not None:
        stopping.after(arguments.stop_after, number)
    assignment = Assignment(
        recipe=arguments.recipe,
        stage=arguments.stage,
        store=arguments.store,
        shard=arguments.shard,
        overrides=tuple(arguments.overrides),
        key=arguments.key,
        merge_only=arguments.merge_only,
    )
    code = work(assignment, _event)
    if code == TAKEN_OVER and not ranks.launched():
        os.execv(sys.executable, sys.orig_argv)  # a process without the remains of the first try waits for the other
    if code == STOPPED:
        _leave_note(arguments.note, "stopped" if stopping.requeue() else "terminated")
        return DONE if ranks.launched() else STOPPED
    return code


def _leave_note(note: Path | None, what: str) -> None:
    if note:
        Path(f"{note}.{what}").touch()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m reasoning_train.stage", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("recipe", type=Path, help="a recipe, or the plan.json of a run")
    parser.add_argument("stage")
    parser.add_argument("--shard", type=_shard, metavar="K/N")
    parser.add_argument(
        "--store", type=Path, default=Path(os.environ.get("REASONING_TRAIN_STORE", "store")), metavar="DIR"
    )
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="A.B=C")
    parser.add_argument("--key", metavar="KEY", help="refuse to run unless the stage's key begins with this")
    parser.add_argument("--merge-only", action="store_true", help="refuse to run unless every shard has been recorded")
    parser.add_argument(
        "--stop-signal",
        default="USR2",
        choices=SIGNALS,
        metavar="NAME",
        help="the signal at which work is saved and the stage stops",
    )
    parser.add_argument("--stop-on-term", action="store_true", help="stop on SIGTERM, too")
    parser.add_argument(
        "--stop-after", type=float, metavar="SECONDS", help="stop after this time, as if the signal had come"
    )
    parser.add_argument(
        "--note",
        type=Path,
        metavar="FILE",
        help="make FILE.began at the start, and FILE.stopped, or FILE.terminated for SIGTERM, when a signal stopped it",
    )
    # `deepspeed` passes it; the environment has it too
    parser.add_argument("--local_rank", "--local-rank", help=argparse.SUPPRESS)
    return parser


def _shard(text: str) -> tuple[int, int]:
    k, _, n = text.partition("/")
    if not (k.isdigit() and n.isdigit() and int(k) < int(n)):
        raise argparse.ArgumentTypeError(f"expected K/N with K from 0 to N-1, got {text!r}")
    return int(k), int(n)


def _event(event: dict[str, Any]) -> None:
    try:
        sys.stdout.flush()
        os.write(1, json.dumps(event).encode() + b"\n")  # one write: `print` may write the line end separately
    except OSError:  # nobody reads any more; the work goes on
        give_up(sys.stdout)


if __name__ == "__main__":
    exit_code = main()
    if ranks.launched():
        ranks.end(exit_code)
    sys.exit(exit_code)
