"""In the jail: run the program in `/box/.program` as a script. Arguments: memory, processor seconds, disk."""

import sys

from limits import limit


def execute() -> None:
    """Its exceptions are Python's to print: a traceback, and exit status 1."""
    with open("/box/.program", "rb") as file:
        source = file.read()
    sys.argv[:] = ["program.py"]
    sys.path[0] = "/box"
    exec(compile(source, "program.py", "exec"), {"__name__": "__main__", "__builtins__": __builtins__})


if __name__ == "__main__":
    limit(*sys.argv[1:4])
    execute()
