"""In the jail: run the program in `/work/.program` as a script. Arguments: memory, processor seconds, disk."""

import sys

from limits import limit


def main() -> None:
    """Its exceptions are Python's to print: a traceback, and exit status 1."""
    limit(*sys.argv[1:4])
    with open("/work/.program", "rb") as file:
        source = file.read()
    sys.argv[:] = ["program.py"]
    sys.path[0] = "/work"
    exec(compile(source, "program.py", "exec"), {"__name__": "__main__", "__builtins__": __builtins__})


main()
