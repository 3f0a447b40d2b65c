"""The guard catches mistakes: each mutation changes the known answer of its piece, which is right without it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.known_answers.guard import differences, outcome, recorded
from tests.known_answers.mutations import MUTATIONS, Mutation, mutated


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mistake_is_caught(mutation: Mutation, monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    kind, name = mutation.piece
    then = recorded()[kind][name]["outcome"]
    function, code = mutated(mutation)
    monkeypatch.setattr(function, "__code__", code)
    assert list(differences(then, outcome(kind, name))), f"{kind} {name!r} did not notice: {mutation.name}"


QUICK = dict.fromkeys(mutation.piece for mutation in MUTATIONS if mutation.piece[0] != "stage")


@pytest.mark.parametrize("piece", QUICK, ids=" ".join)
def test_code_that_is_only_compiled_anew_changes_nothing(
    piece: tuple[str, str], monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    """The control: what changes an outcome is what a mutation writes, and not how it is put in place. All functions of
    a piece at once; stages, whose functions are put in place in the same way, would take long."""
    kind, name = piece
    functions = dict(mutated(replace(mutation, new=mutation.old)) for mutation in MUTATIONS if mutation.piece == piece)
    for function, code in functions.items():
        assert code is not function.__code__
        monkeypatch.setattr(function, "__code__", code)
    assert list(differences(recorded()[kind][name]["outcome"], outcome(kind, name))) == []


def test_there_are_enough() -> None:
    assert len(MUTATIONS) >= 15 and len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)
