"""`grammar`: words of an artificial grammar, and whether another word follows it (Mind Your Step, arXiv 2410.21333).

    These words follow one rule: B V X, T X, T V V X. Does T V X follow it?
    First: B, T.
    After B: V.
    ...
    Answer: yes

Every problem has a grammar of its own: a random automaton, as in studies of implicit learning (Reber 1967), in which
people judge worse when they put the rule into words. The worked steps put it into words: which letters begin, follow
each other, and end in the words that are shown. A wrong word is a right one with one letter changed to
another that the words show.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field, model_validator

from data_gen.graders.yes_no import YesNo
from data_gen.tasks import TASKS
from data_gen.tasks.beside import AnyGrader
from data_gen.tasks.generated import MOST_DRAWS, DrawnProblem, Generated, check_range

LETTERS = "BDFGHJKLMNPQRSTVWXZ"
WORDS = ("These", "words", "follow", "one", "rule", "Does", "it", "First", "After", "Last", "Answer", "yes", "no")


@TASKS.register("grammar")
class Grammar(Generated):
    """Judgements about words of random automata. About half of all words are right."""

    version: ClassVar[int] = 1

    grader: AnyGrader = YesNo()
    states: tuple[int, int] = (4, 6)
    """Fewest and most states of an automaton: this sets the difficulty."""
    letters: int = Field(5, ge=3, le=len(LETTERS))
    """Letters of a grammar."""
    shown: int = Field(15, ge=1, le=100)
    """Words that follow the rule in a question."""
    length: tuple[int, int] = (3, 8)
    """Fewest and most letters of a word."""

    @model_validator(mode="after")
    def _sensible(self) -> Grammar:
        check_range("states", self.states, 2, 20)
        check_range("length", self.length, 1, 12)
        return self

    def draw(self, rng: random.Random, split: str) -> DrawnProblem:
        """A grammar with enough words, and a word that is not among those shown."""
        for _ in range(MOST_DRAWS):
            automaton = Automaton(random_edges(rng, rng.randint(*self.states), rng.sample(LETTERS, self.letters)))
            words = sorted(automaton.words(*self.length))
            if len(words) <= self.shown:
                continue
            *shown, asked = rng.sample(words, self.shown + 1)
            right = rng.random() < 0.5
            letters = "".join(sorted(set().union(*shown)))
            wrong = [word for word in changed(asked, letters) if not automaton.accepts(word)]
            if right or wrong:
                return _asked(automaton, shown, asked if right else rng.choice(wrong), right=right)
        raise self.impossible(split)

    def vocabulary(self) -> list[str]:
        """All letters, words and marks that problems and solutions consist of."""
        return [*LETTERS, *WORDS, *",.:?"]


@dataclass(frozen=True, slots=True)
class Automaton:
    """A deterministic finite automaton: state 0 begins, the last state ends. In every state two letters may follow."""

    edges: tuple[dict[str, int], ...]
    """State -> letter -> next state."""

    def words(self, shortest: int, longest: int) -> Iterator[str]:
        """All words of these lengths, once each."""
        reached = [("", 0)]
        for length in range(1, longest + 1):
            reached = [(word + letter, to) for word, at in reached for letter, to in self.edges[at].items()]
            if length >= shortest:
                yield from (word for word, at in reached if at == len(self.edges) - 1)

    def accepts(self, word: str) -> bool:
        """Whether a word leads from the first state to the last."""
        at = 0
        for letter in word:
            if letter not in self.edges[at]:
                return False
            at = self.edges[at][letter]
        return at == len(self.edges) - 1


def _asked(automaton: Automaton, shown: list[str], word: str, *, right: bool) -> DrawnProblem:
    listed = ", ".join(map(" ".join, shown))
    return DrawnProblem(
        question=f"These words follow one rule: {listed}. Does {' '.join(word)} follow it?",
        gold="yes" if right else "no",
        steps=tuple(rule(shown)),
        difficulty=float(len(automaton.edges)),
        tags={"states": str(len(automaton.edges)), "length": str(len(word))},
    )


def random_edges(rng: random.Random, states: int, letters: list[str]) -> tuple[dict[str, int], ...]:
    """Random edges: in every state two letters lead somewhere."""
    pairs = [sorted(rng.sample(letters, 2)) for _ in range(states)]
    return tuple({letter: rng.randrange(states) for letter in pair} for pair in pairs)


def changed(word: str, letters: str) -> list[str]:
    """All words that differ from a word in one letter.

    >>> changed("AB", "ABC")
    ['BB', 'CB', 'AA', 'AC']
    """
    return [word[:i] + other + word[i + 1 :] for i, letter in enumerate(word) for other in letters if other != letter]


def rule(words: list[str]) -> Iterator[str]:
    """The rule that words show, by letters.

    >>> list(rule(["AB", "AA"]))
    ['First: A.', 'After A: A, B.', 'Last: A, B.']
    """
    yield f"First: {', '.join(sorted({word[0] for word in words}))}."
    pairs = sorted({pair for word in words for pair in itertools.pairwise(word)})
    for letter, group in itertools.groupby(pairs, key=lambda pair: pair[0]):
        yield f"After {letter}: {', '.join(after for _, after in group)}."
    yield f"Last: {', '.join(sorted({word[-1] for word in words}))}."
