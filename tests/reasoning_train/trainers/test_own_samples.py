"""A policy's own samples are trained on as they were sampled, for every kind of tokenizer and template."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.engines.base import Sample, Sampling
from data_gen.format import Format, ModelFormat, StepCodec, TaskFormat
from data_gen.labelling.recode_solutions import recode_solution
from data_gen.programs.solve import grade_samples
from data_gen.records.problem import Problem
from data_gen.records.solution import Solution
from data_gen.tasks.jsonl import Jsonl
from data_gen.transforms.keep_last import KeepLast
from reasoning_train.trainers.data.solutions import encode_solutions
from tests.data_gen.templates.samples import samples
from tests.data_gen.tokenizers import KINDS

TASK = Jsonl(uses="jsonl", path="unread.jsonl", split={"test": None})  # type: ignore[arg-type]
PLAIN = sorted(KINDS.keys() - {"word_piece", "unigram"})  # these give no text back as it was
CHATS = sorted(f"chat/{name}" for name in samples() if name != "llama2_unigram")
SAID = "12 + 5 = 17. 17 - 3 = 14.\n  - é 😀.\nAnswer: 14"


def codec(name: str, delimiter: str) -> StepCodec:
    chat = name.startswith("chat/")
    tokenizer = samples()[name.removeprefix("chat/")].tokenizer if chat else KINDS[name]()
    shape = ModelFormat(template="chat" if chat else "plain")
    return StepCodec(Format(task=TaskFormat(step_delimiter=delimiter), model=shape), tokenizer)


def drawn(made: StepCodec, ids: list[int], question: str = "How many has Ben?") -> Solution:
    problem = Problem(id="1", question=question, gold="14", group="1", split="test")
    prompt = tuple(made.prompt_ids(question))
    [solution] = grade_samples(
        problem, prompt, [Sample(token_ids=tuple(ids), logprobs=(), finish="stop")], Sampling(max_tokens=99), made, TASK
    )
    return solution


@given(st.data(), st.sampled_from([*PLAIN, *CHATS]), st.sampled_from("\n."))
def test_own_samples_are_trained_on_token_for_token(data: st.DataObject, name: str, delimiter: str) -> None:
    """Any ids that a model may sample, and a question that spells the token that ends a turn."""
    made = codec(name, delimiter)
    free = [i for i in range(len(made.tokenizer)) if i not in made.end_ids]
    ids = [*data.draw(st.lists(st.sampled_from(free), max_size=20)), made.end_id]
    question = f"Is it {made.tokenizer.convert_ids_to_tokens(made.end_id)}?"
    solution = drawn(made, ids, question)
    [row] = encode_solutions([solution], made, 512).rows
    prompt = made.prompt_ids(question)
    assert row.traces[0].ids == (*prompt, *ids)
    assert row.traces[0].weights == (0.0,) * len(prompt) + (1.0,) * len(ids)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("delimiter", [".", "\n"])
def test_what_is_left_of_a_sample_is_trained_on_too(name: str, delimiter: str) -> None:
    """Without its first steps, a row is a text that is encoded as a whole and begins as the sample began."""
    made = codec(name, delimiter)
    ids = [*made.tokenizer(SAID, add_special_tokens=False)["input_ids"], made.end_id]
    whole = drawn(made, ids)
    assert whole.answer == "14"
    [left] = KeepLast(n=1)(None, [whole], random.Random(0))  # type: ignore[arg-type]
    assert (left.text.lstrip(), left.token_ids) == ("- é 😀.\nAnswer: 14", ())
    assert left.text[0] == whole.text[0] or left.text[0] == "-"
    [row] = encode_solutions([left], made, 512).rows
    own = made.tokenizer(left.text, add_special_tokens=False)["input_ids"]
    assert row.traces[0].ids == (*whole.prompt_ids, *own, made.end_id)


@pytest.mark.parametrize("student", PLAIN)
def test_a_student_of_another_tokenizer_learns_from_what_is_left(student: str) -> None:
    made, own = codec("llama2", "."), codec(student, ".")
    said = "12 + 5 = 17. 17 - 3 = 14. Answer: 14"
    whole = drawn(made, [*made.tokenizer(said, add_special_tokens=False)["input_ids"], made.end_id])
    [left] = KeepLast(n=1)(None, [whole], random.Random(0))  # type: ignore[arg-type]
    assert left.text.startswith("17")
    recoded = recode_solution(left, own)
    assert isinstance(recoded, Solution)
    assert recoded.text.lstrip() == left.text.lstrip()
    [row] = encode_solutions([recoded], own, 512).rows
    assert row.traces[0].ids == (*own.prompt_ids("How many has Ben?"), *recoded.token_ids)
