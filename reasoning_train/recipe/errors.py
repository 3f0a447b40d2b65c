"""Errors of a recipe, collected and reported together, each with its place in the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from data_gen.errors import UserError


class RecipeError(UserError):
    """What is wrong with a recipe: one line `file:line: field: what` per problem, in the order of the file."""


class Problems:
    """Collects problems until the whole recipe has been checked. `origins`: dotted path -> `file:line`."""

    def __init__(self, origins: Mapping[str, str], file: str) -> None:
        self._origins, self._file = origins, file
        self._placed: dict[str, str] = {}
        self._found: dict[str, None] = {}

    def add(self, path: str, message: str) -> None:
        """Note a problem at a dotted path. Duplicates (e.g. one per seed) are kept once."""
        self._found.setdefault(": ".join(filter(None, [self.origin(path), _in_one_line(path), message])))

    def place(self, path: str, source: str) -> None:
        """Record that the value at `path`, and everything inside it, was written at `source`, e.g. for a stage of one
        round."""
        self._placed[path] = source

    def origin(self, path: str) -> str:
        """`file:line` of the value, or of the nearest value around it."""
        here = path
        while here:
            if here in self._placed:
                return self.origin(self._placed[here] + path.removeprefix(here))
            if here in self._origins:
                return self._origins[here]
            here = here.rpartition(".")[0]
        return self._file

    def __bool__(self) -> bool:
        return bool(self._found)

    def raise_if_any(self) -> None:
        """Raise a RecipeError that lists all problems."""
        if self._found:
            raise RecipeError("\n".join(_listed_once(sorted(self._found, key=_place))))


def _in_one_line(path: str) -> str:
    """A path as a message shows it: names that are refused may hold line breaks."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in path)


def _place(line: str) -> tuple[str, int]:
    file, _, rest = line.partition(":")
    number = rest.partition(":")[0]
    return file, int(number) if number.isdigit() else 0


def _listed_once(lines: Iterable[str]) -> Iterator[str]:
    """The lines; a list of known names stands in the first that has it, since a wrong file has many unknown keys."""
    listed = set()
    for line in lines:
        told, _, known = line.partition(" Known: ")
        yield told if known in listed else line
        if known:
            listed.add(known)


def sentence(text: str) -> str:
    """`text` with a full stop, unless it ends in one or in a question."""
    return text if text.endswith((".", "?")) else f"{text}."
