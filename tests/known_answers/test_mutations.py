"""The guard catches mistakes: each mutation changes the known answer of its piece, which is right without it."""

from __future__ import annotations

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


def test_there_are_enough() -> None:
    assert len(MUTATIONS) >= 15 and len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)
