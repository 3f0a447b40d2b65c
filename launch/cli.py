"""The `reasoning-train` command: reads arguments, calls a command, turns errors into messages and exit codes."""

from __future__ import annotations

import argparse
import errno
import sys
from collections.abc import Sequence

from data_gen.errors import UserError
from launch.commands import (
    cancel,
    doctor,
    fetch,
    gc,
    grade,
    listing,
    logs,
    plan,
    report,
    run,
    schema,
    status,
    submit,
    why,
)
from reasoning_train.process.streams import give_up, open_standard_streams
from reasoning_train.store.disk import DENIED, denied

FAILED_STAGE, BAD_RECIPE, INTERRUPTED, OUTPUT_LOST = 1, 2, 130, 141
_UNWRITABLE = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of an output whose terminal is closed or whose disk is full."""

EXAMPLES = """\
first steps:
  reasoning-train doctor                                        what this machine can do, what is missing
  reasoning-train list recipes                                  what there is to run
  reasoning-train plan recipes/rejection_sampling/tiny.yaml     what would run, without running it
  reasoning-train run recipes/rejection_sampling/tiny.yaml      run it; run it again to resume or reuse
  reasoning-train run RECIPE --set stages.sample.n=16           the same with one field changed
  reasoning-train grade FILE --task gsm8k --prediction text     grade generations that were made anywhere
  reasoning-train why RECIPE sample                             which field or input made a stage run again

exit codes: 0 success, 1 a stage failed, 2 a mistake in the recipe or on the command line, 130 interrupted,
            141 nobody reads the output any more
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; without a command, show the help."""
    open_standard_streams()
    parser = _parser()
    arguments = parser.parse_args(argv)
    if "function" not in arguments:
        parser.print_help()
        return BAD_RECIPE
    try:
        code = int(arguments.function(arguments))
        sys.stdout.flush()  # here, where it can still be told that nobody reads
        return code
    except UserError as error:
        if arguments.debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return BAD_RECIPE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `reasoning-train list | head`
        give_up(sys.stdout)
        return OUTPUT_LOST
    except OSError as error:
        if arguments.debug:
            raise
        return _failed(error)


def _failed(error: OSError) -> int:
    """Say what the system refused, and return the exit code."""
    if error.filename is None and error.errno in _UNWRITABLE:
        give_up(sys.stdout)
        print(f"error: the output cannot be written ({error.strerror})", file=sys.stderr)
        return OUTPUT_LOST
    said = denied(error) if error.errno in DENIED and error.filename is not None else str(error)
    print(f"error: {said}", file=sys.stderr)
    return BAD_RECIPE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="reasoning-train",
        description="Make reasoning data, train on it and measure the result: one recipe describes all of it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for module in (run, submit, plan, why, status, logs, cancel, report, grade, listing, fetch, doctor, gc, schema):
        module.add(subparsers)
    return parser


if __name__ == "__main__":
    sys.exit(main())
