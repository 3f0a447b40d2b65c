"""No piece changes unnoticed: its version is what tells old artifacts from new ones."""

from __future__ import annotations

from typing import Any

import pytest

from tests.known_answers.cases import Settings, alike, load_cases
from tests.known_answers.guard import differences, problem, recorded
from tests.known_answers.pieces import every_piece
from tests.known_answers.rounding import rounded, single
from tests.needs_sandbox import need_a_sandbox

PIECES = every_piece()


@pytest.mark.parametrize(("kind", "name"), list(PIECES), ids=lambda text: text)
def test_a_piece_gives_what_was_recorded(kind: str, name: str, one_thread: None) -> None:
    if getattr(PIECES[kind, name], "runs_programs", False):
        need_a_sandbox()
    said = problem(kind, name, PIECES[kind, name])
    assert not said, said


def test_cases_and_answers_are_of_pieces_that_there_are() -> None:
    answers = {(kind, name) for kind, pieces in recorded().items() for name in pieces}
    assert set(load_cases()) == set(PIECES) >= answers


def hollow(value: Any) -> bool:
    """Whether lists and dicts hold nothing else than lists and dicts."""
    return isinstance(value, (list, dict)) and all(map(hollow, value.values() if isinstance(value, dict) else value))


def test_no_outcome_is_empty() -> None:
    """A case whose setting makes nothing would not notice a change; every setting has an item of its own."""
    outcomes = {f"{kind} {name}": entry["outcome"] for kind, of in recorded().items() for name, entry in of.items()}
    assert [name for name, made in outcomes.items() if hollow(made)] == []
    settings = {
        f"{name}.{i}": one for name, made in outcomes.items() if isinstance(made, list) for i, one in enumerate(made)
    }
    assert [name for name, one in settings.items() if hollow(one)] == []
    assert hollow([[]]) and hollow({"a": [{}]}) and not hollow([[None]])


def test_settings_with_one_outcome_are_told() -> None:
    settings = {"a": [Settings([[1.0], [1.00001], [2.0]]), Settings([1, 1.0001])], "b": [3, 3]}
    assert list(alike(settings)) == ["0 and 1, [1.0]", "0 and 1, 1"]


@pytest.mark.parametrize(
    ("then", "now", "lines"),
    [
        ({"a": [1.234, "x"]}, {"a": [1.235, "x"]}, []),
        ({"a": [1.234, "x"]}, {"a": [1.244, "y"]}, ["a.0: 1.234 -> 1.244", "a.1: 'x' -> 'y'"]),
        ({"a": 1}, {"a": True}, ["a: 1 -> True"]),
        ({"a": 0.0}, {"a": 0}, []),
        ({"a": 1.5e-8}, {"a": 1.5001e-8}, []),
        ({"a": 1.5e-8}, {"a": 2.5e-8}, ["a: 1.5e-08 -> 2.5e-08"]),
        ({"a": 0.0}, {"a": 1e-9}, ["a: 0.0 -> 1e-09"]),
        ({"a": 0.0}, {"a": 1e-17}, []),
        ({"a": None}, {}, ["a: None -> nothing"]),
        ({"a": [1]}, {"a": [1, 2]}, ["a: [1] -> [1, 2]"]),
    ],
)
def test_differences_are_told_by_place(then: Any, now: Any, lines: list[str]) -> None:
    assert list(differences(rounded(then), rounded(now))) == lines


def test_single_precision_has_its_own_nothing() -> None:
    assert single({"a": [1e-7, -2e-6, 1e-4], "b": 1}) == {"a": [0.0, 0.0, 1e-4], "b": 1}


def test_each_change_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    mcts = PIECES["search", "mcts"]
    entry = recorded()["search"]["mcts"]
    monkeypatch.setitem(recorded()["search"], "mcts", {**entry, "outcome": []})
    assert "Either bump `version` of the piece, or" in problem("search", "mcts", mcts)
    monkeypatch.setitem(recorded()["search"], "mcts", {**entry, "version": 0})
    assert "is a new version; record it" in problem("search", "mcts", mcts)
    monkeypatch.delitem(recorded()["search"], "mcts")
    assert "is not recorded: python -m tests.known_answers.record mcts" in problem("search", "mcts", mcts)
    assert "has no known answer. Write a case for it" in problem("search", "mine", mcts)


def test_another_default_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    mcts = PIECES["search", "mcts"]
    monkeypatch.setattr(mcts.model_fields["simulations"], "default", 41)
    assert "defaults.Mcts.simulations: 40 -> 41" in problem("search", "mcts", mcts)
