"""Formats and the StepCodec, on the word tokenizer and on a byte-level BPE whose delimiters merge."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from data_gen.errors import UserError
from data_gen.format import Format, ModelFormat, StepCodec, TaskFormat
from data_gen.records.segment import Segment
from data_gen.tasks.chain import Chain
from reasoning_train.models.words import word_tokenizer
from tests.data_gen.typed import typed

CHAT = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt "
    "%}<assistant>{% endif %}"
)


@cache
def words() -> Any:
    return word_tokenizer(Chain(uses="chain").vocabulary())


@cache
def bpe(trim: bool = False, bos: bool = False) -> Any:
    """Merges "\\n\\n" and " =", as real models' tokenizers do."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = ["<eos>", "<bos>"]
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(["3 + 4 = 7\n\nBen has 7.\n\n\nAnswer: 7"] * 50, trainer)
    steps = [processors.ByteLevel(trim_offsets=trim)]
    if bos:
        steps.append(processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)]))
    core.post_processor = processors.Sequence(steps)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="<eos>",
        bos_token="<bos>",
        chat_template=CHAT,
        clean_up_tokenization_spaces=False,
    )


def codec(tokenizer: Any, model: ModelFormat | None = None, **task: Any) -> StepCodec:
    return StepCodec(Format(task=TaskFormat(**task), model=model or ModelFormat()), tokenizer)


equations = st.tuples(st.integers(0, 99), st.sampled_from("+-"), st.integers(0, 99), st.integers(0, 99)).map(
    lambda e: f"{e[0]} {e[1]} {e[2]} = {e[3]}"
)
printable = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12)


def pieces(steps: list[str], answer: str, delimiter: str) -> list[Segment]:
    return typed(*(("step", step + delimiter) for step in steps), ("answer", "Answer: " + answer))


@given(st.lists(equations, max_size=5), st.integers(0, 99))
def test_words_round_trip(steps: list[str], answer: int) -> None:
    made = codec(words())
    segments = made.encode(pieces(steps, str(answer), "\n"), end=True)
    assert made.split([t for s in segments for t in s.token_ids]) == segments
    assert segments[-1].token_ids == (words().eos_token_id,)
    assert sum(s.kind == "step" for s in segments) == len(steps)


@given(
    st.lists(st.one_of(equations, printable), max_size=5),
    printable,
    st.sampled_from(["\n", "\n\n", "\n\n\n", " ки\n"]),
    st.booleans(),
)
def test_byte_level_round_trip(steps: list[str], answer: str, delimiter: str, trim: bool) -> None:
    made = codec(bpe(trim), step_delimiter=delimiter)
    steps = [step for step in steps if "Answer:" not in step]
    segments = made.encode(pieces(steps, answer, delimiter), end=True)
    ids = [t for s in segments for t in s.token_ids]
    text = "".join(s.text for s in pieces(steps, answer, delimiter))
    if not any(token in text for token in bpe(trim).all_special_tokens):  # one that is spelled is text
        assert ids == [*bpe(trim)(text, add_special_tokens=False)["input_ids"], bpe(trim).eos_token_id]
    assert "".join(s.text for s in segments) == made.decode(ids) == text
    again = made.split(ids)
    assert [t for s in again for t in s.token_ids] == ids
    assert "".join(s.text for s in again) == text
    assert [s.kind for s in again] == ["step"] * len(steps) + ["answer", "end"]


@given(st.data(), st.sampled_from(["\n", "\n\n", " ки\n", "7"]), st.booleans())
def test_pieces_are_those_that_a_look_at_every_prefix_finds(
    data: st.DataObject, delimiter: str, in_words: bool
) -> None:
    """Any ids at all, broken characters and special tokens among them."""
    made = codec(words() if in_words else bpe(), step_delimiter=delimiter)
    lines = made.tokenizer("7\n\n ки\n", add_special_tokens=False)["input_ids"]
    one = st.one_of(st.integers(0, len(made.tokenizer) - 1), st.sampled_from(lines))
    ids = [i for i in data.draw(st.lists(one, max_size=40)) if i != made.end_id]
    expected, current = [], list[int]()
    for i in ids:
        current.append(i)
        if (
            delimiter
            in made.tokenizer.decode(current, skip_special_tokens=True, clean_up_tokenization_spaces=False).lstrip()
        ):
            expected.append(tuple(current))
            current = []
    assert [s.token_ids for s in made.split(ids)] == [*expected, *([tuple(current)] if current else [])]


@pytest.mark.parametrize("trim", [True, False])
def test_a_step_owns_the_whole_token_that_completes_its_delimiter(trim: bool) -> None:
    made = codec(bpe(trim))
    [blank], [line], [a], [b] = (
        bpe()(text, add_special_tokens=False)["input_ids"] for text in ("\n\n", "\n", "7", "8")
    )
    # Sampled: "7\n\n8": the delimiter "\n" is complete within the token "\n\n".
    sampled = made.split([a, blank, b])
    assert [(s.kind, s.text) for s in sampled] == [("step", "7\n\n"), ("step", "8")]
    # Encoded from text cut in the middle of that token: the earlier piece has it.
    encoded = made.encode(typed(("step", "7\n"), ("step", "\n\n8")), end=False)
    assert [s.token_ids for s in encoded] == [(a, blank), (line, b)]


@pytest.mark.parametrize("trim", [True, False])
def test_a_token_with_a_leading_space_belongs_to_the_piece_that_holds_the_space(trim: bool) -> None:
    made = codec(bpe(trim), step_delimiter=" ")
    [straddling] = bpe()(" =", add_special_tokens=False)["input_ids"]
    encoded = made.encode(typed(("step", "3 "), ("step", "= 7")), end=False)
    assert encoded[0].token_ids[-1] == straddling
    assert straddling not in encoded[1].token_ids


def test_blank_lines_between_steps_are_no_steps() -> None:
    made = codec(words())
    ids = words()("\n\n3 + 4 = 7\n\nAnswer: 7\n", add_special_tokens=False)["input_ids"]
    segments = made.split(ids)
    assert [(s.kind, s.text) for s in segments] == [("step", "\n\n3 + 4 = 7\n"), ("answer", "\nAnswer: 7\n")]


def test_an_open_step_and_no_end_where_the_completion_was_cut() -> None:
    made = codec(words())
    segments = made.split(words()("3 + 4 = 7\n7 +", add_special_tokens=False)["input_ids"])
    assert [(s.kind, s.text) for s in segments] == [("step", "3 + 4 = 7\n"), ("step", "7 +")]
    assert made.split([]) == ()
    assert [s.kind for s in made.split([made.end_id])] == ["end"]


def test_a_bare_step_is_encoded_without_end() -> None:
    [segment] = codec(words()).encode(typed(("step", "3 + 4 = 7\n")), end=False)
    assert words().eos_token_id not in segment.token_ids


def test_plain_prompts() -> None:
    made = codec(bpe(), prompt="Q: {question} {braces} stay", model=ModelFormat(plain_suffix="\nA:"))
    assert made.prompt_text("1 {question} 2?") == "Q: 1 {question} 2? {braces} stay\nA:"
    assert made.decode(made.prompt_ids("x")) == "Q: x {braces} stay\nA:"


def test_a_bos_goes_before_a_plain_prompt_and_not_twice_into_a_chat() -> None:
    tokenizer = bpe(bos=True)
    assert codec(tokenizer).prompt_ids("7")[0] == tokenizer.bos_token_id
    chat = codec(tokenizer, ModelFormat(template="chat")).prompt_ids("7")
    assert tokenizer.bos_token_id not in chat
    assert tokenizer.bos_token_id not in codec(tokenizer).encode(typed(("step", "7\n")), end=False)[0].token_ids


def test_chat_prompts_use_the_models_template() -> None:
    assert codec(bpe(), ModelFormat(template="chat")).prompt_text("7?") == "<user>7?<eos><assistant>"
    assert (
        codec(bpe(), ModelFormat(template="chat", system="Be brief.")).prompt_text("7?")
        == "<system>Be brief.<eos><user>7?<eos><assistant>"
    )


SHOWN = {
    "prompt": "Q: {question}",
    "examples": ({"question": "1?", "solution": "Answer: 1"}, {"question": "{question}", "solution": "A"}),
}


@pytest.mark.parametrize(
    ("model", "prompt"),
    [
        (ModelFormat(plain_suffix="\nA:"), "Q: 1?\nA:Answer: 1\n\nQ: {question}\nA:A\n\nQ: 7?\nA:"),
        (ModelFormat(template="server"), "Q: 1?\nAnswer: 1\n\nQ: {question}\nA\n\nQ: 7?"),
        (
            ModelFormat(template="chat", system="S"),
            "<system>S<eos><user>Q: 1?<eos><assistant>Answer: 1<eos><user>Q: {question}<eos><assistant>A<eos><user>Q: "
            "7?<eos><assistant>",
        ),
    ],
)
def test_worked_examples_stand_before_the_question_and_nothing_else(model: ModelFormat, prompt: str) -> None:
    made = codec(bpe(), model, **SHOWN)
    assert made.prompt_text("7?") == prompt
    assert made.tokenizer.decode(made.prompt_ids("7?")) == prompt
    assert "Q:" not in made.tokenizer.decode(made.ids_to_answer("Is it right?"))


def test_a_tokenizer_without_eos_is_refused() -> None:
    from transformers import PreTrainedTokenizerFast

    bare = PreTrainedTokenizerFast(tokenizer_object=words().backend_tokenizer)
    with pytest.raises(UserError, match="has no eos token, so no solution could end; set `eos_token`"):
        codec(bare)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("3 + 4 = 7\nAnswer: 7", "7"),
        ("Answer: 7.\nand more", "7"),
        ("Answer: 3\nAnswer: 7", "7"),
        ("Answer:7", "7"),
        ("Answer: ", None),
        ("Answer:\n7", None),
        ("7", None),
        ("", None),
    ],
)
def test_the_answer_after_the_last_mark(text: str, answer: str | None) -> None:
    assert Format().extract_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{7}", "7"),
        (r"\boxed{1} then \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        (r"\boxed{{a}{b}}", "{a}{b}"),
        (r"\boxed{7", None),
        (r"\boxed{}", None),
        ("7", None),
    ],
)
def test_the_last_box(text: str, answer: str | None) -> None:
    assert Format(task=TaskFormat(extract=("boxed",))).extract_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("3 then 1,234.5.", "1,234.5"),
        ("costs $12", "12"),
        ("-$3", "-3"),
        ("1/2 left", "1/2"),
        ("7, all told", "7"),
        ("none", None),
    ],
)
def test_the_last_number(text: str, answer: str | None) -> None:
    assert Format(task=TaskFormat(extract=("last_number",))).extract_answer(text) == answer


def test_ways_are_tried_in_order() -> None:
    fmt = Format(task=TaskFormat(extract=("boxed", "mark", "last_number")))
    assert fmt.extract_answer(r"Answer: 1, \boxed{2}, 3") == "2"
    assert fmt.extract_answer("Answer: 1\n3") == "1"
    assert fmt.extract_answer("1 and 3") == "3"


def test_another_task_format_is_refused_by_its_first_differing_field() -> None:
    mine, theirs = Format(), Format(task=TaskFormat(step_delimiter="\n\n"))
    mine.check_same_task(Format(model=ModelFormat(template="chat")), "policy a", "data b")
    with pytest.raises(UserError, match=r"policy a has step_delimiter='\\n', data b has step_delimiter='\\n\\n'"):
        mine.check_same_task(theirs, "policy a", "data b")


def test_formats_survive_json() -> None:
    fmt = Format(task=TaskFormat(extract=("boxed", "mark")), model=ModelFormat(system="s"))
    assert Format.model_validate_json(fmt.model_dump_json()) == fmt


@pytest.mark.parametrize("field", ["step_delimiter", "answer_mark"])
def test_empty_marks_are_refused(field: str) -> None:
    with pytest.raises(ValueError, match="at least 1 character"):
        TaskFormat.model_validate({field: ""})


def test_an_end_in_text_is_the_end_segment() -> None:
    made = codec(bpe(), step_delimiter=".", answer_mark="The answer is", ends=("\n",))
    ids = bpe()("3 + 4 = 7. The answer is 7.\n", add_special_tokens=False)["input_ids"]
    segments = made.split(ids)
    assert [(s.kind, s.text) for s in segments] == [
        ("step", "3 + 4 = 7."),
        ("answer", " The answer is 7."),
        ("end", "\n"),
    ]
    assert [t for s in segments for t in s.token_ids] == ids
    assert made.format.extract_answer("".join(s.text for s in segments)) == "7"
    without = codec(bpe(), step_delimiter=".", answer_mark="The answer is").split(ids)
    assert without[-1].kind == "step"


def test_a_format_has_a_way_to_find_the_answer() -> None:
    with pytest.raises(ValidationError, match="at least 1 item"):
        TaskFormat.model_validate({"extract": []})
