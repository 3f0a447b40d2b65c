"""`grammar`: words that an automaton accepts, checked against every way through it, and their smallest changes."""

from __future__ import annotations

import itertools
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from data_gen.errors import UserError
from data_gen.records.problem import Problem
from data_gen.records.verdict import Answer, Verdict
from data_gen.tasks.grammar import LETTERS, Automaton, Grammar, changed, random_edges, rule
from tests.benchmark_data import built

SMALL = Grammar(uses="grammar", train=80, explore=10, dev=10, test=60)
PROBLEMS = [problem for split in SMALL.splits() for problem in SMALL.problems(split)]


def words_of(problem: Problem) -> tuple[list[str], str]:
    """The words shown, and the one asked about."""
    match = re.fullmatch(r"These words follow one rule: (.+)\. Does (.+) follow it\?", problem.question)
    assert match is not None
    return [word.replace(" ", "") for word in match[1].split(", ")], match[2].replace(" ", "")


@given(st.integers(0, 10**6), st.integers(2, 5))
def test_an_automaton_accepts_its_words_and_no_others(seed: int, states: int) -> None:
    automaton = Automaton(random_edges(random.Random(seed), states, list("ABC")))
    words = list(automaton.words(1, 5))
    every = ["".join(letters) for n in range(1, 6) for letters in itertools.product("ABC", repeat=n)]
    assert len(set(words)) == len(words)
    assert set(words) == {word for word in every if automaton.accepts(word)}


def test_an_automaton_by_hand() -> None:
    """A, then any number of B, then C; or C at once. A word that ends may begin again behind A or B."""
    automaton = Automaton(({"A": 1, "C": 2}, {"B": 1, "C": 2}, {"A": 0, "B": 0}))
    assert sorted(automaton.words(1, 4)) == [
        *("ABBC", "ABC", "AC", "ACAC", "ACBC"),
        *("C", "CAAC", "CAC", "CBAC", "CBC"),
    ]
    assert automaton.accepts("AC") and not automaton.accepts("A") and not automaton.accepts("CC")


def test_questions_show_words_of_one_grammar_and_ask_about_another() -> None:
    for problem in PROBLEMS:
        shown, asked = words_of(problem)
        assert len(set(shown)) == 15 and asked not in shown
        assert all(3 <= len(word) <= 8 for word in [*shown, asked])
        assert set(asked) <= set("".join(shown)) or problem.gold == "yes"
        assert problem.tags["length"] == str(len(asked))


def test_about_half_are_right_and_both_answers_are_graded() -> None:
    right = sum(problem.gold == "yes" for problem in PROBLEMS)
    assert 0.35 < right / len(PROBLEMS) < 0.65
    for problem in PROBLEMS:
        other = "no" if problem.gold == "yes" else "yes"
        assert SMALL.grade(problem, Answer(problem.gold)).verdict is Verdict.CORRECT
        assert [SMALL.grade(problem, Answer(a)).verdict for a in (other, "maybe", None)] == [Verdict.WRONG] * 3


def test_a_wrong_word_is_one_letter_away_from_a_right_one() -> None:
    made = Grammar(uses="grammar", test=0)
    for seed in range(40):
        rng = random.Random(seed)
        drawn = made.draw(rng, "test")
        again = random.Random(seed)
        # The last grammar that was drawn is the one of the question.
        shown, asked = words_of(_problem(drawn.question))
        automaton = None
        while automaton is None or not all(map(automaton.accepts, shown)):
            automaton = Automaton(random_edges(again, again.randint(*made.states), again.sample(LETTERS, 5)))
            words = sorted(automaton.words(*made.length))
            if len(words) > made.shown:
                again.sample(words, made.shown + 1)
                again.random()
        assert automaton.accepts(asked) == (drawn.gold == "yes")
        assert automaton.accepts(asked) or any(map(automaton.accepts, changed(asked, LETTERS)))


def _problem(question: str) -> Problem:
    return Problem(id="p", question=question, gold=None, group="", split="test")


def test_the_rule_in_words_follows_from_the_words_shown() -> None:
    assert list(rule(["BVX", "TX", "TVVX"])) == [
        "First: B, T.",
        "After B: V.",
        "After T: V, X.",
        "After V: V, X.",
        "Last: X.",
    ]
    for problem in PROBLEMS:
        assert list(problem.gold_steps) == list(rule(words_of(problem)[0]))


def test_splits_share_no_question_and_seeds_and_dials_give_others() -> None:
    assert len({problem.question for problem in PROBLEMS}) == len(PROBLEMS) == 160
    assert list(Grammar(uses="grammar", test=60).problems("test")) == list(SMALL.problems("test"))
    other = Grammar(uses="grammar", seed=1, test=5)
    assert not {p.question for p in other.problems("test")} & {p.question for p in PROBLEMS}
    with pytest.raises(UserError, match=r"task\.tset: grammar has no split 'tset'\. Did you mean 'test'"):
        next(SMALL.problems("tset"))


def test_a_space_that_is_too_small_is_told() -> None:
    tiny = Grammar(uses="grammar", states=(2, 2), letters=3, shown=1, length=(1, 1), test=1000)
    with pytest.raises(UserError, match=r"task\.test: grammar found no further problem in 10,000 draws, after \d+"):
        list(tiny.problems("test"))


def test_dials_that_allow_no_grammar_are_told() -> None:
    """Words of at most two letters: there are never 16 of them."""
    with pytest.raises(UserError, match=r"task\.test: grammar made no problem of these settings in 10,000 attempts"):
        list(Grammar(uses="grammar", length=(1, 2), test=1).problems("test"))


def test_the_vocabulary_is_closed() -> None:
    known = set(SMALL.vocabulary() or [])
    texts = [text for p in PROBLEMS for text in (p.question, *p.gold_steps, f"Answer: {p.gold}")]
    assert {piece for text in texts for piece in re.findall(r"[A-Za-z]+|[^\sA-Za-z]", text)} <= known


@pytest.mark.parametrize("dials", [{"states": [6, 4]}, {"states": [1, 2]}, {"length": [0, 4]}, {"length": [3, 40]}])
def test_dials_that_make_no_grammar_are_refused(dials: dict[str, list[int]]) -> None:
    with pytest.raises(ValidationError, match=rf"{next(iter(dials))}: expected \[low, high\]"):
        Grammar.model_validate({"uses": "grammar", **dials})


def test_the_shipped_config() -> None:
    task = built("mind_your_step", train=1, test=3)
    assert task.measures[0].directions().keys() == {"always_yes"} and len(list(task.problems("test"))) == 3
