"""Solutions of one tokenizer and template in those of another: prompt, tokens, kinds, weights, and what is lost."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.errors import UserError
from data_gen.format import Format, ModelFormat, StepCodec
from data_gen.labelling.recode_solutions import recode_solution
from data_gen.records.segment import Kind
from data_gen.records.solution import Solution
from data_gen.records.verdict import Verdict
from reasoning_train.trainers.data.solutions import encode_solutions
from tests.data_gen.labelling.test_recode import gluing
from tests.data_gen.test_format import bpe, words
from tests.data_gen.typed import typed

QUESTION = "Ana has 12 coins. Ben has 5 more than Ana. How many has Ben?"
TEACHER = StepCodec(Format(model=ModelFormat(template="chat", system="Be brief.")), bpe())
STUDENT = StepCodec(Format(), words())


def taught(*pieces: tuple[str, str], finish: str = "stop", codec: StepCodec = TEACHER) -> Solution:
    """A solution as the teacher samples it."""
    segments = codec.encode(typed(*pieces), end=finish == "stop")
    return Solution(
        problem_id="p",
        sample=0,
        question=QUESTION,
        prompt=codec.prompt_text(QUESTION),
        prompt_ids=tuple(codec.prompt_ids(QUESTION)),
        segments=codec.split([token for segment in segments for token in segment.token_ids]),
        answer="17",
        verdict=Verdict.CORRECT,
        finish=finish,
        logprobs=(-0.5,) * 3,
        tags={"steps": "1"},
    )


GIVEN = taught(("step", "12 + 5 = 17\n"), ("answer", "Answer: 17"))


@pytest.mark.parametrize(
    "student", [STUDENT, StepCodec(Format(model=ModelFormat(plain_suffix=" ->\n")), words()), TEACHER]
)
def test_what_is_trained_on_is_what_is_asked(student: StepCodec) -> None:
    given = replace(GIVEN, teacher_ids=((1, 2),) * 3, teacher_logprobs=((-1.0, -2.0),) * 3)
    made = recode_solution(given, student)
    assert isinstance(made, Solution)
    asked = tuple(student.prompt_ids(QUESTION))
    [row] = encode_solutions([made], student, 512).rows
    assert row.traces[0].ids[: len(asked)] == asked == made.prompt_ids
    assert row.traces[0].ids[len(asked) :] == made.token_ids
    assert student.split(made.token_ids) == made.segments
    assert (made.text, made.prompt, made.logprobs) == (GIVEN.text, student.prompt_text(QUESTION), ())
    assert (made.teacher_ids, made.teacher_logprobs) == ((), ())
    assert (made.verdict, made.answer, made.tags) == (GIVEN.verdict, GIVEN.answer, GIVEN.tags)
    assert made.token_ids[-1] == student.end_id


@given(st.lists(st.tuples(st.integers(0, 99), st.sampled_from("+-"), st.integers(0, 99)), max_size=4))
def test_there_and_back_is_what_it_was(steps: list[tuple[int, str, int]]) -> None:
    lines = [("step", f"{a} {sign} {b} = {a}\n") for a, sign, b in steps]
    first = replace(taught(*lines, ("answer", "Answer: 7"), codec=STUDENT), logprobs=())
    there = recode_solution(first, TEACHER)
    assert isinstance(there, Solution) and there.token_ids != first.token_ids
    assert recode_solution(there, STUDENT) == first


def test_a_row_of_text_gets_ids_and_keeps_its_weights() -> None:
    bare = [replace(segment, token_ids=()) for segment in GIVEN.segments[:-1]]
    made = recode_solution(replace(GIVEN, segments=(replace(bare[0], weight=0.25), bare[1]), prompt_ids=()), STUDENT)
    assert isinstance(made, Solution)
    assert [(s.kind, s.weight) for s in made.segments] == [(Kind.STEP, 0.25), (Kind.ANSWER, 1.0), (Kind.END, 1.0)]


def test_a_cut_one_gets_no_end() -> None:
    made = recode_solution(taught(("step", "12 + 5 = 17\n"), ("step", "17 +"), finish="length"), STUDENT)
    assert isinstance(made, Solution) and [s.kind for s in made.segments] == [Kind.STEP, Kind.STEP]


def test_what_does_not_survive_says_why() -> None:
    assert recode_solution(taught(("step", "seven apples\n")), STUDENT) == "unreadable"
    glued = StepCodec(Format(), gluing())
    assert recode_solution(taught(("step", "1 + 1 = 2\n"), ("answer", "Answer: 2")), glued) == "kinds_differ"
    with pytest.raises(UserError, match="Problem 'p': its solution has no `question`"):
        recode_solution(replace(GIVEN, question=""), STUDENT)
