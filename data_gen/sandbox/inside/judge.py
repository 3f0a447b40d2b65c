"""In the jail of the tests: run them on a program in another jail. The verdict is the last line of stderr.

Names that the tests read but nobody defines stand for the program's. Calls go there with values and come back with
values, so that a program sees its arguments alone: neither the tests, nor what they expect, nor who compares.
"""

import ast
import builtins
import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

from limits import limit
from wire import packed, receive, send, unpacked


class Gone(BaseException):
    """The program has died. No test may catch it."""


class FarProgram:
    """The other end of the pipes."""

    def __init__(self, replies: BinaryIO, requests: BinaryIO) -> None:
        self.replies, self.requests = replies, requests

    def ask(self, what: str, *given: Any) -> Any:
        """The value that the program answers, or the exception that it raised."""
        try:
            send(self.requests, [what, *(packed(one, _number) for one in given)])
            return self.reply(StopIteration if what == "next" else None)
        except (EOFError, BrokenPipeError) as error:
            raise Gone from error

    def reply(self, ends: type[Exception] | None = None) -> Any:
        """The next answer. ValueError for one that is none. StopIteration where it is not the end would end the tests'
        own loops early."""
        said = receive(self.replies)
        if not isinstance(said, list) or len(said) < 2:
            raise ValueError("not an answer")
        if said[0] == "value":
            return unpacked(said[1], lambda number: Remote(self, number))
        kind: Any = getattr(builtins, str(said[1]), None)
        ordinary = isinstance(kind, type) and issubclass(kind, Exception)
        if ordinary and (kind is ends or kind not in (AssertionError, StopIteration, StopAsyncIteration)):
            raise kind(str(said[2:]))
        raise RuntimeError(str(said[1:]))


class Remote:
    """An object of the program. It equals itself alone."""

    def __init__(self, program: FarProgram, number: int) -> None:
        vars(self).update(_program=program, _number=number)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._program.ask("call", self, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        return self._program.ask("get", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._program.ask("set", self, name, value)

    def __getitem__(self, key: Any) -> Any:
        return self._program.ask("item", self, key)

    def __iter__(self) -> Iterator[Any]:
        return iter(_checked(list, self._program.ask("list", self)))

    def __next__(self) -> Any:
        return self._program.ask("next", self)

    def __len__(self) -> int:
        return _checked(int, self._program.ask("len", self))

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Remote) and other._number == self._number

    def __hash__(self) -> int:
        return hash(self._number)


def _checked(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"expected {kind.__name__}")
    return value


def _number(thing: Any) -> int:
    if not isinstance(thing, Remote):
        raise TypeError(f"a {type(thing).__name__} cannot be handed to the program")
    return int(thing._number)


def unbound(tree: ast.Module) -> tuple[set[str], set[str]]:
    """Names that a source reads but nobody defines; names of built-in functions that it calls."""
    bound: set[str] = set()
    read: set[str] = set()
    called: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            bound.add(node.name)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            called.add(node.func.id)
    known = set(dir(builtins))
    return read - bound - known, (called & known) - bound


def stubs(tree: ast.Module) -> set[str]:
    """Functions that do nothing, such as those that consist of a docstring: what a question asks for."""
    return {f.name for f in tree.body if isinstance(f, ast.FunctionDef) and all(map(_does_nothing, f.body))}


def _does_nothing(statement: ast.stmt) -> bool:
    constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return constant or isinstance(statement, ast.Pass | ast.Import | ast.ImportFrom)


def namespace(program: FarProgram, given: str, tests: ast.Module) -> dict[str, Any]:
    """What the tests see. What the question defines is its own, but for the functions that it asks for; the rest is the
    program's. A program may define a built-in name only where nothing else of it is tested."""
    names: dict[str, Any] = {"__name__": "tests"}
    exec(compile(given, "question", "exec"), names)
    asked = stubs(ast.parse(given))
    free, called = unbound(tests)
    wanted = {name for name in free if name not in names or name in asked}
    if not wanted:
        wanted = {name for name in called if program.ask("defines", name) is True}
    return names | {name: program.ask("name", name) for name in sorted(wanted)}


def verdict(program: FarProgram, given: str, source: str) -> str:
    """`passed`, `failed`, `gone`, or `error`, with the exception."""
    try:
        program.reply()
        tests = ast.parse(source)
        exec(compile(tests, "tests", "exec"), namespace(program, given, tests))
    except AssertionError:
        return "failed"
    except (Gone, EOFError, BrokenPipeError):
        return "gone"
    except BaseException as error:
        return f"error {type(error).__name__}: {str(error)[:300]}"
    return "passed"


def tell(program: FarProgram, told: BinaryIO) -> None:
    """Tell `ready`, `met` once the program's jail has begun, and the verdict."""
    send(told, "ready")
    with contextlib.suppress(EOFError, ValueError):
        if receive(program.replies) == "ready":
            send(told, "met")
    texts = []
    for name in ("/box/.given", "/box/.tests"):
        with open(name, encoding="utf-8") as file:
            texts.append(file.read())
    send(told, verdict(program, *texts))


def main() -> None:
    """Tell it on stderr, which the tests do not get."""
    limit(*sys.argv[1:4])
    told, null = os.fdopen(os.dup(2), "wb"), os.open("/dev/null", os.O_RDWR)
    program = FarProgram(os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb"))
    for fd in range(3):
        os.dup2(null, fd)
    tell(program, told)
    os._exit(0)


if __name__ == "__main__":
    main()
