"""Pairs of steps are checked against the text that their ids have behind the prefix, for every kind of tokenizer."""

from __future__ import annotations

import pytest

from data_gen.format import Format, StepCodec, TaskFormat
from reasoning_train.trainers.data.encoded import prompt_texts
from reasoning_train.trainers.data.pairs import encode_pairs
from tests.data_gen.tokenizers import KINDS
from tests.data_gen.typed import step_pair


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_step_that_begins_with_a_space_is_taken(kind: str) -> None:
    codec = StepCodec(Format(task=TaskFormat(step_delimiter=".")), KINDS[kind]())
    asked = tuple(codec.prompt_ids("12 + 5 = 17"))
    wholes = ("12 + 5 = 17. 17 - 3 = 14.", "12 + 5 = 17. 17 - 5 = 12.")
    (first, better), (_, worse) = (
        codec.split(codec.tokenizer(whole, add_special_tokens=False)["input_ids"]) for whole in wholes
    )
    prompt_ids = (*asked, *first.token_ids)
    prompt = prompt_texts(prompt_ids, codec, len(asked))[0]
    pair = step_pair(prompt, prompt_ids, (better, worse), prompt_length=len(asked))
    [row] = encode_pairs([pair], codec, 512, vocabulary=len(codec.tokenizer)).rows
    assert row.traces[0].ids == (*prompt_ids, *better.token_ids)
