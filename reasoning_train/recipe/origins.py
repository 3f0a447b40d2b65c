"""Where every value of a recipe was written. What lies inside one value is found without a look at all the others, so
that recipes of thousands of stages load in linear time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


class Origins(Mapping[str, str]):
    """Dotted path -> `file:line`.

    >>> origins = Origins({"stages.sample": "recipe.yaml:11", "stages.sample.n": "recipe.yaml:12"})
    >>> origins.forget("stages.sample")
    >>> list(origins)
    []
    """

    def __init__(self, places: Mapping[str, str] | None = None) -> None:
        self._places: dict[str, str] = {}
        self._parts: dict[str, dict[str, None]] = {}
        """Path -> the paths one part longer that are known or lead to known ones."""
        self.update(places or {})

    def __getitem__(self, path: str) -> str:
        return self._places[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __setitem__(self, path: str, place: str) -> None:
        self._places[path] = place
        while path:
            above = path.rpartition(".")[0]
            parts = self._parts.setdefault(above, {})
            if path in parts:
                return
            parts[path] = None
            path = above

    def update(self, others: Mapping[str, str]) -> None:
        """Take over the places of others."""
        for path, place in others.items():
            self[path] = place

    def forget(self, path: str) -> None:
        """Remove the place of a value and of everything inside it."""
        for known in [path, *self._inside(path)]:
            self._places.pop(known, None)
            self._parts.pop(known, None)
        self._parts.get(path.rpartition(".")[0], {}).pop(path, None)

    def graft(self, path: str, source: Origins, at: str) -> None:
        """What lies inside `path` was written where `source` has what lies inside `at`."""
        found = [(known, source[known]) for known in source._inside(at) if known in source._places]
        for known, place in found:
            self[path + known.removeprefix(at)] = place

    def _inside(self, path: str) -> Iterator[str]:
        """Every path inside a path."""
        waiting = [path]
        while waiting:
            parts = self._parts.get(waiting.pop(), {})
            yield from parts
            waiting += parts
