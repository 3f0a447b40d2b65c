"""Solutions to training rows: weights by position, the end token, what is left out, other tokenizers."""

from __future__ import annotations

import dataclasses

import pytest

from data_gen.errors import UserError
from data_gen.format import Format, ModelFormat, StepCodec
from data_gen.records.problem import Problem
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from data_gen.tasks.chain import Chain
from reasoning_train.models.words import word_tokenizer
from reasoning_train.stages.gold import gold_solution
from reasoning_train.trainers.data.encoded import Encoded
from reasoning_train.trainers.data.solutions import encode_solutions
from tests.data_gen.test_format import bpe

TASK = Chain(uses="chain", train=5)
CODEC = StepCodec(Format(), word_tokenizer(TASK.vocabulary()))
OTHER = StepCodec(Format(), word_tokenizer(["Zed", *TASK.vocabulary()[:-1]]))


TEXT = CODEC.prompt_text(next(TASK.problems("train")).question)
PROMPT = tuple(CODEC.prompt_ids(next(TASK.problems("train")).question))


def gold() -> list[Solution]:
    return [gold_solution(problem, problem.gold or "", TASK) for problem in TASK.problems("train")]


def sampled(text: str = "12 + 8 = 20\nAnswer: 20", finish: str = "stop") -> Solution:
    ids = CODEC.tokenizer(text, add_special_tokens=False)["input_ids"] + [CODEC.end_id] * (finish == "stop")
    return dataclasses.replace(gold()[0], segments=CODEC.split(ids), finish=finish, prompt=TEXT, prompt_ids=PROMPT)


def test_gold_rows_train_the_completion_and_its_end_only() -> None:
    encoded = encode_solutions(gold(), CODEC, 128)
    assert len(encoded.rows) == 5
    for solution, row in zip(gold(), encoded.rows, strict=True):
        prompt = CODEC.prompt_ids(solution.prompt)
        assert list(row.traces[0].ids[: len(prompt)]) == prompt
        assert row.traces[0].weights == (0.0,) * len(prompt) + (1.0,) * (len(row.traces[0].ids) - len(prompt))
        assert row.traces[0].ids[-1] == CODEC.end_id
        assert CODEC.end_id not in row.traces[0].ids[:-1]
        assert CODEC.decode(row.traces[0].ids[len(prompt) :]) == solution.text


def test_sampled_ids_are_trained_as_they_were_sampled() -> None:
    solution = sampled()
    [row] = encode_solutions([solution], CODEC, 128).rows
    assert row.traces[0].ids == (*PROMPT, *solution.token_ids)
    assert row.traces[0].weights == (0.0,) * len(PROMPT) + (1.0,) * len(solution.token_ids)


def test_weights_of_segments_and_solutions_multiply() -> None:
    step, answer, end = sampled().segments
    solution = dataclasses.replace(sampled(), segments=(dataclasses.replace(step, weight=0.0), answer, end), weight=0.5)
    [row] = encode_solutions([solution], CODEC, 128).rows
    assert row.traces[0].weights == (0.0,) * (len(PROMPT) + len(step.token_ids)) + (0.5,) * (len(answer.token_ids) + 1)


def test_weights_of_segments_count_in_rows_that_are_text_alone() -> None:
    step, *others = gold()[0].segments
    assert not step.token_ids and len(others) > 1
    solution = dataclasses.replace(gold()[0], segments=(dataclasses.replace(step, weight=0.0), *others), weight=0.5)
    [whole], [row] = (encode_solutions([one], CODEC, 128).rows for one in (gold()[0], solution))
    unlearned = len(CODEC.prompt_ids(solution.prompt)) + len(CODEC.tokenizer(step.text)["input_ids"])
    assert row.traces[0].ids == whole.traces[0].ids
    assert row.traces[0].weights == (0.0,) * unlearned + (0.5,) * (len(row.traces[0].ids) - unlearned)


def test_cut_and_over_long_rows_are_counted_not_truncated() -> None:
    whole = encode_solutions([sampled()], CODEC, 128).rows[0]
    encoded = encode_solutions(
        [sampled(), sampled(finish="length"), sampled("12 + 8 = 20\n20 + 1 = 21\nAnswer: 21")],
        CODEC,
        len(whole.traces[0].ids),
    )
    assert encoded.rows == [whole]
    assert encoded.dropped == {"cut_by_length_limit": 1, "too_long": 1}


def test_the_first_row_left_out_for_each_reason_is_kept_to_be_shown() -> None:
    """Of several sources the first source's; of a long text both ends."""
    first, second = Encoded(), Encoded()
    first.drop("too_long", "p7", ["a" * 100 + "b" * 50, "c" * 100], 300)
    first.drop("too_long", "p8", ["x"], 301)
    second.drop("too_long", "p9", ["y"], 302)
    second.drop("weight_0", "p9", ["z"], 0)
    both = first + second
    assert both.why(256) == "3 over max_length=256 tokens, 0 cut when sampled, 1 of weight 0"
    assert both.offending(256) == (
        f" The first over max_length=256 tokens: problem 'p7', 300 tokens, '{'a' * 100} ... {'c' * 100}'. "
        "The first of weight 0: problem 'p9', 'z'."
    )
    assert both.why(256, lost=True) == "3 over max_length=256 tokens, 0 cut when sampled"
    assert "of weight 0" not in both.offending(256, lost=True)


def test_rows_of_weight_0_are_counted_not_trained_on() -> None:
    encoded = encode_solutions([sampled(), dataclasses.replace(sampled(), weight=0.0)], CODEC, 128)
    assert len(encoded.rows) == 1 and encoded.dropped == {"weight_0": 1}


def test_masked_kinds_carry_no_loss() -> None:
    step, answer, _ = sampled().segments
    [row] = encode_solutions([sampled()], CODEC, 128, masked=[Kind.ANSWER]).rows
    kinds = (0.0,) * len(PROMPT), (1.0,) * len(step.token_ids), (0.0,) * len(answer.token_ids), (1.0,)
    assert row.traces[0].weights == sum(kinds, ())


def test_weights_count_for_rows_of_text_too() -> None:
    """What a tool gave back has weight 0 by its kind; any segment may be given another."""
    said = Segment(kind=Kind.STEP, text="12 + 8 = 20\n"), Segment(kind=Kind.OBSERVATION, text="20\n")
    last = Segment(kind=Kind.ANSWER, text="Answer: 20", weight=0.5)
    [row] = encode_solutions([dataclasses.replace(gold()[0], segments=(*said, last))], CODEC, 128).rows
    sizes = [len(CODEC.tokenizer(s.text, add_special_tokens=False)["input_ids"]) for s in (*said, last)]
    weights = [w for w, n in zip((1.0, 0.0, 0.5), sizes, strict=True) for _ in range(n)]
    assert row.traces[0].weights == (*(0.0 for _ in PROMPT), *weights, 1.0)


def test_a_token_across_two_segments_weighs_what_the_one_weighs_in_which_it_begins() -> None:
    """Two line ends are one token: the first ends the step, the second begins the tool's output."""
    codec = StepCodec(Format(), bpe())
    [blank] = codec.tokenizer("\n\n", add_special_tokens=False)["input_ids"]
    said = Segment(kind=Kind.STEP, text="7\n"), Segment(kind=Kind.OBSERVATION, text="\n\n8")
    solution = dataclasses.replace(gold()[0], segments=said)
    [row] = encode_solutions([solution], codec, 512).rows
    ids, weights = row.traces[0].ids[-5:], row.traces[0].weights[-5:]
    assert (ids[1], weights) == (blank, (1.0, 1.0, 0.0, 0.0, 1.0))


def test_a_student_of_another_template_is_told_so_and_never_trained_on_prompts_that_it_is_not_asked() -> None:
    """The tokenizer is the same and so are all ids of the solution; only what stands before it differs."""
    for model in (ModelFormat(plain_suffix=" ="), ModelFormat(plain_suffix="")):
        student = StepCodec(Format(model=model), CODEC.tokenizer)
        with pytest.raises(UserError, match="Put stage `recode_solutions` before this one"):
            encode_solutions([sampled()], student, 128)
        assert encode_solutions(gold(), student, 128).rows  # rows of text are put to whoever learns them


def test_a_prompt_of_another_format_and_a_missing_end_are_refused() -> None:
    with pytest.raises(
        UserError,
        match="was made behind .*, but this model is asked .*`plain_suffix` differ. Put stage `recode_solutions`",
    ):
        encode_solutions([dataclasses.replace(sampled(), prompt_ids=(4, 5, 6))], CODEC, 128)
    open_ended = dataclasses.replace(sampled(), segments=sampled().segments[:-1])
    said = "its solution, '12 .*', ends with '0'; expected a stop token .*without one the policy never learns to stop"
    with pytest.raises(UserError, match=said):
        encode_solutions([sampled(), open_ended], CODEC, 128)


def test_every_row_is_read_back_however_late_it_comes() -> None:
    wrong = dataclasses.replace(
        sampled(), problem_id="late", segments=(Segment(kind=Kind.STEP, text="other", token_ids=sampled().token_ids),)
    )
    with pytest.raises(UserError, match="Problem 'late': the token ids of its solution decode to"):
        encode_solutions([*[sampled()] * 100, wrong], CODEC, 128)


def test_a_question_outside_the_vocabulary_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"does not give back the prompt of problem 'chain/.*': 'Whose apples.* Its vocabulary misses"
    ):
        encode_solutions([dataclasses.replace(gold()[0], question="Whose apples are they?")], CODEC, 128)


def test_rows_of_another_tokenizer_are_refused() -> None:
    with pytest.raises(UserError, match="was made behind .*but this model is asked .* Put stage `recode_solutions`"):
        encode_solutions([sampled()], OTHER, 128)


def test_text_outside_the_vocabulary_is_refused() -> None:
    asked = next(TASK.problems("train")).question
    problem = Problem(id="p9", question=asked, gold="7", group="g", split="train", gold_steps=("seven apples",))
    solution = dataclasses.replace(
        gold_solution(problem, "7", TASK), segments=(Segment(kind=Kind.STEP, text="seven apples\n"),)
    )
    with pytest.raises(
        UserError,
        match="does not give back the solution of problem 'p9': 'seven apples.* Its vocabulary misses some of the text",
    ):
        encode_solutions([solution], CODEC, 128)
