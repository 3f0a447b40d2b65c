"""Marked kinds: spans of a text, the tokens that belong to them, and answers that only the policy can give."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from data_gen.errors import UserError
from data_gen.format import Format, StepCodec, TaskFormat
from data_gen.marks import Mark, Marks, read_spans
from data_gen.records.segment import Kind, Segment
from data_gen.verifiers.heads import step_ends
from reasoning_train.models.words import word_tokenizer
from tests.data_gen.test_format import bpe
from tests.data_gen.typed import typed

MARKS = Marks(
    think=Mark(open="<think>", close="</think>"),
    observation=Mark(open="```output\n", close="```\n"),
    code=Mark(open="```\n", close="```\n"),
    plan=Mark(prefix="Plan: "),
    action=Mark(prefix="Call: "),
    control=Mark(open="[short]"),
)


@cache
def merging() -> Any:
    """A byte-level BPE whose tokens run across everything: words, line ends, marks."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    texts = ["3 + 4 = 7\n<think>7?</think>\nPlan: add\n", "```output\n7\n```\nAnswer: 7", "a.<think>b</think>3 + 4"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=340, special_tokens=["<eos>"], initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator(texts * 20, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<eos>", clean_up_tokenization_spaces=False)


def marked(tokenizer: Any, marks: Marks = MARKS) -> StepCodec:
    return StepCodec(Format(task=TaskFormat(marks=marks)), tokenizer)


@cache
def codecs() -> list[StepCodec]:
    return [marked(bpe()), marked(bpe(trim=True)), marked(merging())]


def spans(text: str) -> list[tuple[str, str]]:
    found, start = [], 0
    for kind, end in read_spans(text, MARKS, "\n", "Answer:"):
        found.append((str(kind), text[start:end]))
        start = end
    assert start == len(text)
    return found


def test_spans_by_hand() -> None:
    assert spans("Plan: add\nso <think>a\nAnswer: 1</think>\nCall: 3+4\n```output\nAnswer: 9\n```\n\nAnswer: 7") == [
        ("plan", "Plan: add\n"),
        ("step", "so "),
        ("think", "<think>a\nAnswer: 1</think>"),
        ("action", "\nCall: 3+4\n"),
        ("observation", "```output\nAnswer: 9\n```\n"),
        ("answer", "\nAnswer: 7"),
    ]
    assert spans("[short]3 + 4 = 7\n") == [("control", "[short]"), ("step", "3 + 4 = 7\n")]
    assert spans("```\nprint(1)\n```\n") == [("code", "```\nprint(1)\n```\n")]
    assert spans("<think>never\nclosed") == [("think", "<think>never\nclosed")]
    assert spans("a </think> b\n") == [("step", "a </think> b\n")]


word = st.text("ab 3+=7.é", min_size=1, max_size=6).filter(str.strip)
pieces = st.one_of(
    word.map(lambda t: ("step", f"{t}\n")),
    word.map(lambda t: ("plan", f"Plan: {t}\n")),
    word.map(lambda t: ("action", f"Call: {t}\n")),
    word.map(lambda t: ("think", f"<think>{t}\n{t}</think>")),
    word.map(lambda t: ("observation", f"```output\n{t}\nAnswer: 1\n```\n")),
    st.just(("control", "[short]")),
)


def stripped(piece: tuple[str, str]) -> tuple[str, str]:
    """A step that begins with a space would give it to a piece before, and no other begins so."""
    return piece[0], piece[1].lstrip() if piece[0] == "step" else piece[1]


@given(st.lists(pieces.map(stripped), max_size=6), st.booleans())
def test_what_is_encoded_is_read_back_to_the_token(given_pieces: list[tuple[str, str]], trim: bool) -> None:
    codec = marked(bpe(trim))
    segments = codec.encode(typed(*given_pieces, ("answer", "Answer: 7")), end=True)
    assert codec.split([token for segment in segments for token in segment.token_ids]) == segments
    assert all(segment.weight == float(segment.kind is not Kind.OBSERVATION) for segment in segments)


@given(st.lists(st.one_of(pieces.map(lambda p: p[1]), word, st.sampled_from("\n<`.")), max_size=7).map("".join))
def test_a_token_is_of_the_kind_in_which_it_begins(text: str) -> None:
    """For every tokenizer, of which one merges across marks; begins are looked up in the text, token by token."""
    owners = [kind for kind, span in spans(text) for _ in span]
    for codec in codecs():
        ids = codec.tokenizer(text, add_special_tokens=False)["input_ids"]
        if codec.decode(ids) != text:
            continue
        begins = [len(codec.decode(ids[:i]).removesuffix("\ufffd")) for i in range(len(ids))]
        found = codec.split(ids)
        assert [token for segment in found for token in segment.token_ids] == ids
        assert [str(s.kind) for s in found for _ in s.token_ids] == [owners[begin] for begin in begins]


@given(st.data())
def test_any_ids_at_all_are_cut_without_loss(data: st.DataObject) -> None:
    codec = data.draw(st.sampled_from(codecs()))
    ids = data.draw(st.lists(st.integers(0, len(codec.tokenizer) - 1), max_size=20))
    assert [token for segment in codec.split(ids) for token in segment.token_ids] == ids
    assert [token for step in codec.steps(ids) for segment in step for token in segment.token_ids] == ids


@given(st.lists(word, max_size=5))
def test_where_nothing_is_marked_marks_change_nothing(lines: list[str]) -> None:
    ids = bpe()("\n".join([*lines, "Answer: 7"]), add_special_tokens=False)["input_ids"]
    assert marked(bpe()).split(ids) == StepCodec(Format(), bpe()).split(ids)


SAID = typed(
    ("think", "<think>Answer: 5</think>"),
    ("action", "Call: 3+4\n"),
    ("observation", "```output\nAnswer: 9\n```\n"),
    ("step", "3 + 4 = 7\n"),
)


def ids_of(codec: StepCodec, segments: list[Segment], *, end: bool = False) -> tuple[int, ...]:
    return tuple(token for segment in codec.encode(segments, end=end) for token in segment.token_ids)


def test_no_answer_is_read_from_thoughts_or_tools() -> None:
    codec = marked(bpe())
    assert codec.answer(ids_of(codec, SAID)) is None
    assert codec.answer(ids_of(codec, [*SAID, *typed(("answer", "Answer: 7"))])) == "7"
    assert StepCodec(Format(), bpe()).answer(ids_of(codec, SAID)) == "9"


def test_values_stand_at_ends_of_what_the_policy_wrote() -> None:
    codec = marked(bpe())
    segments = codec.encode([*SAID, *typed(("answer", "Answer: 7"))], end=True)
    ends = [sum(len(s.token_ids) for s in segments[: i + 1]) - 1 for i in range(len(segments))]
    assert step_ends(segments) == [ends[0], ends[1], ends[3], ends[5]]


def test_what_a_tool_gave_back_stands_with_the_step_behind_it() -> None:
    codec = marked(bpe())
    ids = ids_of(codec, SAID, end=True)
    kinds = [[str(segment.kind) for segment in step] for step in codec.steps(ids)]
    assert kinds == [["think"], ["action"], ["observation", "step", "end"]]
    for cut, whole in ((1, True), (2, True), (3, False), (4, True)):
        assert codec.complete(ids_of(codec, SAID[:cut])) == whole
    assert not codec.complete(ids_of(codec, typed(("think", "<think>a\n"))))


def test_a_mark_that_the_tokenizer_does_not_give_back_is_refused() -> None:
    special = Marks(control=Mark(open="<eos>"))
    with pytest.raises(UserError, match=r"format.marks.control.open: '<eos>' becomes ''.*is not a special token"):
        marked(bpe(), special)
    with pytest.raises(UserError, match=r"format.marks.think.open: '<think>' becomes"):
        marked(word_tokenizer(["a", "b"]), Marks(think=MARKS.think))


@pytest.mark.parametrize("bad", [{}, {"open": "a", "prefix": "b"}, {"close": "a", "prefix": "b"}, {"open": " "}])
def test_a_mark_is_a_span_or_a_prefix(bad: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=r"expected either `open` \(with `close` for a span\) or `prefix`"):
        Mark(**bad)


def test_formats_with_other_marks_do_not_go_together() -> None:
    with pytest.raises(UserError, match="Format mismatch: the policy has marks="):
        marked(bpe()).format.check_same_task(Format(), "the policy", "the data")
