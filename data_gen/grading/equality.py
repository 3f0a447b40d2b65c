"""Which answers are one answer: an equivalence relation over the answers of a problem.

Answers with one canonical form are one. Between different forms a grader is asked, pair by pair, and what it joins by a
chain is one answer, too: graders with a tolerance are not transitive, votes must be. Whatever the order of the
answers, the classes are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from itertools import combinations

MOST_COMPARED = 128
"""Most different forms that are compared in pairs (8,128 pairs): the most frequent ones, equally frequent ones by their
texts. Answers of other forms are joined by their form alone."""


def classes(
    answers: Iterable[str],
    canonical: Callable[[str], Hashable | None] = lambda answer: None,
    same: Callable[[str, str], bool] | None = None,
) -> dict[str, int]:
    """The class of each distinct answer. Classes are numbered by their first answer.

    Args:
        answers: With repeats.
        canonical: The form of an answer. Answers of one form are one, and `same` does not tell them apart. None: its
            text is its form.
        same: Whether two answers of different forms are one. None: they never are.

    >>> classes(["1", "2", "1.0"], float), classes(["1", "2", "1.0"], same=lambda a, b: float(a) == float(b))
    ({'1': 0, '2': 1, '1.0': 0}, {'1': 0, '2': 1, '1.0': 0})
    """
    counts = Counter(answers)
    forms = {answer: _form(answer, canonical(answer)) for answer in counts}
    if same is not None:
        joined = _joined(_by_frequency(counts, forms)[:MOST_COMPARED], same)
        forms = {answer: joined.get(form, form) for answer, form in forms.items()}
    numbers = {form: number for number, form in enumerate(dict.fromkeys(forms.values()))}
    return {answer: numbers[form] for answer, form in forms.items()}


def _form(answer: str, form: Hashable | None) -> Hashable:
    return ("text", answer) if form is None else ("form", form)


def _by_frequency(counts: Counter[str], forms: dict[str, Hashable]) -> list[tuple[Hashable, str]]:
    """(form, its first text in alphabetical order), the most frequent form first."""
    number, text = Counter[Hashable](), dict[Hashable, str]()
    for answer in sorted(counts):
        number[forms[answer]] += counts[answer]
        text.setdefault(forms[answer], answer)
    return sorted(text.items(), key=lambda entry: (-number[entry[0]], entry[1]))


def _joined(known: list[tuple[Hashable, str]], same: Callable[[str, str], bool]) -> dict[Hashable, Hashable]:
    """Each form with the one that stands for its class (union-find). Pairs that are joined already are not compared."""
    above = {form: form for form, _ in known}

    def top(form: Hashable) -> Hashable:
        while above[form] != form:
            above[form] = form = above[above[form]]
        return form

    for (one, text), (other, other_text) in combinations(known, 2):
        if top(one) != top(other) and (same(text, other_text) or same(other_text, text)):
            above[top(other)] = top(one)
    return {form: top(form) for form in above}
