"""One process of a torchrun that looks for the checkpoint to resume from and writes what it got (see
test_checkpoints.py). Argument: the folder."""

from __future__ import annotations

import sys
from pathlib import Path

from data_gen.errors import UserError
from reasoning_train.process import ranks
from reasoning_train.trainers.checkpoints import to_resume


def main() -> None:
    """Write the checkpoint's name, or the error, to `got-RANK`."""
    folder = Path(sys.argv[1])
    ranks.join()
    try:
        found = to_resume(folder)
        got = found.name if found else "nothing"
    except UserError as error:
        got = str(error)
    (folder / f"got-{ranks.rank()}").write_text(got)


if __name__ == "__main__":
    main()
    ranks.end(0)
