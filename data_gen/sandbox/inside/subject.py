"""In the jail of a program: load `/box/.program` and do what the tests ask, one line a request.

The program may do to this process what it likes. All that the tests get of it are values.
"""

import os
import sys
from typing import Any, BinaryIO

from limits import limit
from wire import packed, receive, send, unpacked


class Subject:
    """The loaded program, and the objects that the tests hold a number of."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.names = names
        self.held: list[Any] = []

    def hold(self, thing: Any) -> int:
        """The number of an object, always the same one."""
        for number, held in enumerate(self.held):
            if held is thing:
                return number
        self.held.append(thing)
        return len(self.held) - 1

    def answer(self, request: list[Any]) -> Any:
        """What a request asks for."""
        what, *given = request
        given = unpacked(["list", given], self.held.__getitem__)
        if what == "defines":
            return given[0] in self.names
        if what == "name":
            if given[0] not in self.names:
                raise NameError(given[0])
            return self.names[given[0]]
        if what == "call":
            return given[0](*given[1], **given[2])
        if what == "set":
            return setattr(given[0], given[1], given[2])
        simple: dict[str, Any] = {
            "get": getattr,
            "item": lambda thing, key: thing[key],
            "list": list,
            "len": len,
            "next": next,
        }
        return simple[what](*given)


def main() -> None:
    """Serve on stdin and stdout, which the program does not get."""
    limit(*sys.argv[1:4])
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open("/dev/null", os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    serve(requests, replies)


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Load the program, then answer the tests until they end."""
    send(replies, "ready")
    with open("/box/.program", "rb") as file:
        source = file.read()
    sys.path[0], sys.argv[:] = "/box", ["program.py"]
    subject = Subject({"__name__": "program"})
    try:
        exec(compile(source, "program.py", "exec"), subject.names)
    except BaseException as error:
        send(replies, ["raise", type(error).__name__, str(error)[:300]])
        return
    send(replies, ["value", None])
    while True:
        request = receive(requests)
        try:
            reply = ["value", packed(subject.answer(request), subject.hold)]
        except BaseException as error:
            reply = ["raise", type(error).__name__, str(error)[:300]]
        send(replies, reply)


if __name__ == "__main__":
    main()
