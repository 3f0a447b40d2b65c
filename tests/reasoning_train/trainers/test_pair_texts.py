"""Pairs of steps are checked against the text that their ids have behind the prefix, for every kind of tokenizer."""

from __future__ import annotations

import pytest

from data_gen.format import Format, StepCodec, TaskFormat
from data_gen.records.labels import StepPair
from reasoning_train.trainers.data.encoded import prompt_texts
from reasoning_train.trainers.data.pairs import encode_pairs
from tests.data_gen.tokenizers import KINDS


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_step_that_begins_with_a_space_is_taken(kind: str) -> None:
    codec = StepCodec(Format(task=TaskFormat(step_delimiter=".")), KINDS[kind]())
    asked = tuple(codec.prompt_ids("12 + 5 = 17"))
    wholes = ("12 + 5 = 17. 17 - 3 = 14.", "12 + 5 = 17. 17 - 5 = 12.")
    (first, better), (_, worse) = (
        codec.split(codec.tokenizer(whole, add_special_tokens=False)["input_ids"]) for whole in wholes
    )
    prompt_ids = (*asked, *first.token_ids)
    pair = StepPair(
        problem_id="p0",
        tree=0,
        prompt=prompt_texts(prompt_ids, codec, len(asked))[0],
        chosen=better.text,
        rejected=worse.text,
        prompt_ids=prompt_ids,
        prompt_length=len(asked),
        chosen_ids=better.token_ids,
        rejected_ids=worse.token_ids,
        chosen_nodes=(1,),
        rejected_nodes=(2,),
        score_chosen=1.0,
        score_rejected=0.0,
        scale="p",
        rule="best_sibling",
    )
    [row] = encode_pairs([pair], codec, 512, vocabulary=len(codec.tokenizer)).rows
    assert row.traces[0].ids == (*prompt_ids, *better.token_ids)
