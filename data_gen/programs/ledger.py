"""The account of one run: its requests, their cost and what went wrong, by place in the program."""

from __future__ import annotations

from dataclasses import dataclass

from data_gen.records.calls import Charge, ModelCall, total

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Account:
    """`Account((Charge(role="policy", calls=1),), (ModelCall(...),), ("unread.verdict",))`."""

    charges: tuple[Charge, ...] = ()
    calls: tuple[ModelCall, ...] = ()
    notes: tuple[str, ...] = ()


class Ledger:
    """Entries of a run. Every row takes those below its own place, so that each is taken once."""

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep
        self._entries: list[tuple[Path, Account]] = []

    def fresh(self) -> Ledger:
        """An empty one that keeps as much."""
        return Ledger(keep=self._keep)

    def enter(self, path: Path, charge: Charge, call: ModelCall | None = None) -> None:
        """A request at a place, and what it cost."""
        self._entries.append((path, Account((charge,), (call,) if call and self._keep else ())))

    def note(self, path: Path, said: str) -> None:
        """Something that went wrong at a place."""
        self._entries.append((path, Account(notes=(said,))))

    def take(self, path: Path) -> Account:
        """What stands at or below a place and has not been taken. The order is that of the places, whichever request
        was answered first."""
        mine = [entry for entry in self._entries if entry[0][: len(path)] == path]
        self._entries = [entry for entry in self._entries if entry[0][: len(path)] != path]
        mine.sort(key=lambda entry: [(isinstance(part, str), part) for part in entry[0]])
        found = [account for _, account in mine]
        return Account(
            total(charge for one in found for charge in one.charges),
            tuple(call for one in found for call in one.calls),
            tuple(note for one in found for note in one.notes),
        )
