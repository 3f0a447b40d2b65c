"""Options and yes or no in a person's words: a table of phrasings, and what must hold of all of them."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.graders import GRADERS
from data_gen.records.problem import Problem
from data_gen.records.verdict import Answer, Grade, Verdict


def sections() -> dict[str, list[list[str]]]:
    """The rows of the table under their headings."""
    found: dict[str, list[list[str]]] = {}
    _, *lines = (Path(__file__).parent / "pick_phrasings.tsv").read_text(encoding="utf-8").splitlines()
    for line in lines:
        if line.startswith("#"):
            heading = line.strip("# ")
        else:
            found.setdefault(heading, []).append(line.split("\t"))
    return found


SECTIONS = sections()
TABLE = [row for rows in SECTIONS.values() for row in rows]
LEADS = ["", "The answer is ", "So the correct option is: ", "I choose ", "It is option ", "**Answer:** ", "Thus, "]
FORMS = ["{}", "({})", "{}.", "[{}]", "{})", "\\text{{{}}}", "**{}**", "$\\boxed{{{}}}$"]
TAILS = ["", ".", "!", ", because it fits best", " since the others are too small.", "\nIt is the only one left."]
DENIALS = ["not ", "neither ", "anything but ", "all except ", "It is not ", "It can't be ", "I doubt it is ", "never "]
HEDGES = ["maybe ", "Perhaps it is ", "probably ", "It might be ", "It could be ", "I guess ", "either "]
BACK = [
    "?",
    ", maybe",
    ", but I am not sure",
    " is wrong",
    " is not correct",
    ", or not",
    " or something else",
    ", wait, no",
]


def grade(uses: str, gold: str, answer: str, choices: tuple[str, ...] = (), labels: tuple[str, ...] = ()) -> Grade:
    problem = Problem(id="p", question="q", gold=gold, group="p", split="test", choices=choices, labels=labels)
    return GRADERS.get(uses).model_validate({"uses": uses}).grade(problem, Answer(answer))


def right(uses: str, gold: str, answer: str, **more: tuple[str, ...]) -> bool:
    found = grade(uses, gold, answer, **more).verdict
    assert found is not Verdict.UNVERIFIABLE
    return found is Verdict.CORRECT


@pytest.mark.parametrize("section", SECTIONS)
def test_the_table_of_phrasings(section: str) -> None:
    """`auto` says the same of one option, and of yes and no."""
    differing = []
    for uses, options, gold, answer, verdict in SECTIONS[section]:
        texts = tuple(options.split(";")) if options else ()
        said = answer.replace("\\n", "\n") if "\\n" in answer and "\\neq" not in answer else answer
        for grader in (uses, "auto") if len(gold) == 1 or uses == "yes_no" else (uses,):
            found = grade(grader, gold, said, choices=texts).verdict
            if found is not {"right": Verdict.CORRECT, "wrong": Verdict.WRONG}[verdict]:
                differing.append((grader, options, gold, answer, verdict, found))
    assert differing == []


def test_the_table_is_large_and_balanced() -> None:
    assert len(TABLE) >= 400 and len({tuple(row) for row in TABLE}) == len(TABLE)
    for uses in ("choice", "yes_no"):
        verdicts = [row[4] for row in TABLE if row[0] == uses]
        assert min(verdicts.count("right"), verdicts.count("wrong")) >= 50 and len(verdicts) == sum(
            verdicts.count(one) for one in ("right", "wrong")
        )


labels = st.sampled_from(string.ascii_uppercase)
cases = st.sampled_from([str.upper, str.lower])


@given(labels, labels, st.sampled_from(LEADS), st.sampled_from(FORMS), st.sampled_from(TAILS), cases)
def test_a_label_is_picked_in_any_case_and_phrasing(
    a: str, b: str, lead: str, form: str, tail: str, case: object
) -> None:
    said = lead + form.format(case(b)) + tail  # type: ignore[operator]
    assert right("choice", a, said) == (a == b), said
    assert right("auto", a, said) == (a == b), said


@given(labels, st.sampled_from(FORMS), st.sampled_from(DENIALS + HEDGES))
def test_a_label_that_is_denied_or_hedged_is_not_picked(a: str, form: str, before: str) -> None:
    assert not right("choice", a, before + form.format(a))
    assert not right("yes_no", "yes", before + form.format("yes"))


@given(labels, st.sampled_from(FORMS[:5]), st.sampled_from(BACK))
def test_a_label_that_is_taken_back_is_not_picked(a: str, form: str, behind: str) -> None:
    assert not right("choice", a, form.format(a) + behind)


@given(
    labels,
    labels,
    st.sampled_from(FORMS[:5]),
    st.sampled_from([" or ", ", ", " and ", "/", ", wait, ", ". No, ", "; "]),
)
def test_two_options_are_never_one(a: str, b: str, form: str, between: str) -> None:
    if a != b:
        said = form.format(a) + between + form.format(b)
        assert not right("choice", a, said) and not right("choice", b, said), said


@given(
    st.lists(labels, min_size=1, max_size=5, unique=True),
    st.permutations(range(5)),
    st.sampled_from(["", ", ", " and ", "/"]),
)
def test_several_labels_in_any_order_and_no_other(picked: list[str], order: list[int], between: str) -> None:
    said = between.join(picked[i] for i in order if i < len(picked))
    for gold in ("".join(picked), ", ".join(sorted(picked))):
        assert right("choice", gold, said), (gold, said)
    assert not right("choice", ", ".join(picked), said + between + ({*"ABCDEF"} - {*picked}).pop())


@given(st.integers(1, 26), st.data())
def test_a_problem_has_as_many_labels_as_options(n: int, data: st.DataObject) -> None:
    texts = tuple(f"thing {i}" for i in range(n))
    gold = data.draw(st.integers(0, n - 1))
    for i, letter in enumerate(string.ascii_uppercase):
        assert right("choice", string.ascii_uppercase[gold], f"({letter})", choices=texts) == (i == gold)
    for i, text in enumerate(texts):
        assert right("choice", string.ascii_uppercase[gold], f"It is {text}.", choices=texts) == (i == gold)
        both = f"({string.ascii_uppercase[gold]}) {text}"
        assert right("choice", string.ascii_uppercase[gold], both, choices=texts) == (i == gold)


@pytest.mark.parametrize(
    "own", [("1", "2", "3"), ("i", "ii", "iii"), ("P", "Q", "R"), ("α", "β", "γ"), ("True", "False", "Unknown")]
)
def test_an_answer_may_use_the_rows_own_labels(own: tuple[str, ...]) -> None:
    texts = ("7", "bank", "bay")
    forms = ("{}", "The answer is {}.", "({})", "{}. x", "Option {}", "{} is correct")
    for i, gold in enumerate("ABC"):
        for j, (letter, label, text) in enumerate(zip("ABC", own, texts, strict=True)):
            said = [form.format(name) for name in (letter, label) for form in forms] + [
                f.format(text) for f in forms[:2]
            ]
            for one in said:
                assert right("choice", gold, one, choices=texts, labels=own) == (i == j), one
    assert not right("choice", "B", f"{own[0]} or {own[1]}", choices=texts, labels=own)


def test_the_letters_that_the_question_shows_go_before_texts_and_own_labels() -> None:
    texts, own = ("2", "3", "1"), ("1", "2", "3")
    assert right("choice", "A", "2", choices=texts, labels=own) and not right(
        "choice", "B", "2", choices=texts, labels=own
    )
    assert right("choice", "A", "A", choices=("x", "y"), labels=("B", "A"))


def test_a_label_goes_before_a_text_that_looks_like_one() -> None:
    texts = ("C", "B", "A")
    assert right("choice", "A", "A", choices=texts) and not right("choice", "C", "A", choices=texts)
    assert right("choice", "D", "A and B", choices=("1", "2", "3", "A and B"))


@pytest.mark.parametrize(
    "texts",
    [("-15", "15", "+15"), (".5", "5", "5!"), ("[0, 1)", "(0, 1]", "(0, 1)"), ("2*3", "23", "2 3"), ("i", "-i", "1")],
)
def test_signs_brackets_and_points_tell_options_apart(texts: tuple[str, ...]) -> None:
    for gold in range(3):
        for i, text in enumerate(texts):
            for said in (text, f"({'ABC'[i]}) {text}", f"The answer is {text}.", f"**{text}**"):
                assert right("choice", "ABC"[gold], said, choices=texts) == (gold == i), said


def test_options_of_one_text_are_one_option() -> None:
    texts = ("7", "8", "8", "9")
    assert all(right("choice", "B", said, choices=texts) for said in ("B", "C", "8"))
    assert all(right("choice", "C", said, choices=texts) for said in ("B", "C", "8"))
    assert not right("choice", "B", "7", choices=texts)


@given(st.text(max_size=40))
def test_any_text_is_graded(text: str) -> None:
    for uses, gold in (("choice", "B"), ("yes_no", "no")):
        assert grade(uses, gold, text).verdict in (Verdict.CORRECT, Verdict.WRONG)


@pytest.mark.parametrize("piece", ["A ", "the ", "\n", "(", "B, ", "so ", " is", "not ", "- ", ": ", "no, "])
def test_long_answers_are_read_in_time_that_grows_with_their_length(piece: str) -> None:
    """They would take hours if a pattern backtracked. A text of 100,000 characters is no pick."""
    for answer in (piece * 700, "B" + piece * 700):
        assert grade("choice", "B", answer).verdict in (Verdict.CORRECT, Verdict.WRONG)
        assert grade("yes_no", "no", answer).verdict is Verdict.WRONG
    assert not right("choice", "B", "B" + " " * 10 + piece * 100_000)
