"""Texts of pieces are cut from the text of the whole, for every kind of tokenizer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.format import Format, StepCodec, TaskFormat
from data_gen.marks import Mark, Marks
from data_gen.pieces import text_behind, texts_of
from tests.data_gen.tokenizers import KINDS
from tests.data_gen.typed import typed

SAID = "12 + 5 = 17. 17 - 3 = 14.\n  - Ben é 😀 has 14.\n\nAnswer: 14"
kinds = st.sampled_from(sorted(KINDS))
delimiters = st.sampled_from(["\n", ".", "\n\n", " "])
texts = st.lists(st.sampled_from(["12 + 5 = 17", ".", " ", "\n", "  - ", "é", "😀", "Answer: 14", "Ben has"])).map(
    "".join
)


def codec(kind: str, **task: object) -> StepCodec:
    return StepCodec(Format(task=TaskFormat(**task)), KINDS[kind]())  # type: ignore[arg-type]


@given(st.data(), kinds, delimiters, st.booleans())
def test_texts_of_segments_join_to_the_text_of_the_whole(
    data: st.DataObject, kind: str, delimiter: str, marked: bool
) -> None:
    """Any ids at all: halves of characters, special tokens, ids that no text gives."""
    marks = Marks(think=Mark(open="12", close="17")) if marked else Marks()
    made = codec(kind, step_delimiter=delimiter, marks=marks)
    drawn = st.lists(st.integers(0, len(made.tokenizer) - 1), max_size=30)
    said = made.tokenizer(data.draw(texts), add_special_tokens=False)["input_ids"]
    ids = [*said, *data.draw(drawn)]
    segments = made.split(ids)
    assert "".join(segment.text for segment in segments) == made.decode(ids)
    assert [token for segment in segments for token in segment.token_ids] == ids


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_space_between_steps_is_kept(kind: str) -> None:
    made = codec(kind, step_delimiter=".")
    ids = made.tokenizer("12 + 5 = 17. 17 - 3 = 14. The answer is 14", add_special_tokens=False)["input_ids"]
    first, second, last = (segment.text for segment in made.split(ids))
    assert first.strip() in ("12 + 5 = 17.", "12 + 5 = 17 .")  # word_piece writes a space before a mark
    assert (second[0], last[0]) == (" ", " ")


@given(kinds, texts, delimiters)
def test_steps_of_a_tree_join_to_the_same_text(kind: str, text: str, delimiter: str) -> None:
    """As a search reads them: each step behind the steps above it."""
    made = codec(kind, step_delimiter=delimiter)
    ids = made.tokenizer(text, add_special_tokens=False)["input_ids"]
    segments, said, at = made.split(ids), "", 0
    for segment in segments:
        said += made.text_behind(ids[:at], segment.token_ids)
        at += len(segment.token_ids)
    assert said == made.decode(ids)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_encoded_text_comes_back_as_the_same_segments(kind: str) -> None:
    made = codec(kind)
    given_ = typed(("step", "12 + 5 = 17\n"), ("step", "17 - 3 = 14\n"), ("answer", "Answer: 14"))
    encoded = made.encode(given_, end=True)
    ids = [token for segment in encoded for token in segment.token_ids]
    if kind == "word_piece":  # it has no line end: everything is one answer line
        assert made.decode(ids) == "12 + 5 = 17 17 - 3 = 14 Answer : 14"
        return
    again = made.split(ids)
    assert [(s.kind, s.token_ids) for s in again] == [(s.kind, s.token_ids) for s in encoded]
    assert "".join(s.text for s in again).strip() == "12 + 5 = 17\n17 - 3 = 14\nAnswer: 14"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_plain_prompt_has_what_the_tokenizer_puts_in_front_and_nothing_behind(kind: str) -> None:
    made = codec(kind)
    bare, full = (made.tokenizer("Ben has 7.\n", add_special_tokens=add)["input_ids"] for add in (False, True))
    prompt = made.prompt_ids("Ben has 7.")
    assert prompt == full[: len(full) - (full[-1] == made.end_id)]
    assert prompt[len(prompt) - len(bare) :] == bare
    assert len(prompt) - len(bare) == {"llama2": 1, "llama2_eos": 1, "byte_level_eos": 1, "word_piece": 1}.get(kind, 0)


def test_a_character_between_two_pieces_belongs_to_the_later_one() -> None:
    table = {0: b"a\xc3", 1: b"\xa9b"}

    def decode(ids: object) -> str:
        return b"".join(table[i] for i in ids).decode(errors="replace")  # type: ignore[attr-defined]

    assert texts_of(decode, [(0,), (1,)]) == ["a", "éb"]
    assert text_behind(decode, (0,), (1,)) == "éb"
    assert texts_of(decode, []) == []
