"""How verifiers read: the policy's ids where tokenizers agree, step texts where they do not, and at which tokens."""

from __future__ import annotations

import copy
import dataclasses
import itertools
from typing import Any

import pytest

from data_gen.format import Format, ModelFormat, StepCodec, TaskFormat
from data_gen.verifiers.reading import PrefixReader, Readout
from tests.data_gen.scorers.prefixes import prefix, whole
from tests.data_gen.test_format import CHAT, bpe
from tests.data_gen.typed import typed
from tests.data_gen.verifiers.tiny import words

POLICY = StepCodec(Format(), words())
OWN = StepCodec(Format(model=ModelFormat(plain_suffix=" ->\n")), bpe())
STEPS = ("Ben: 12 + 5 = 17", "Cleo: 17 - 3 = 14")


def at(codec: StepCodec, reading: Readout) -> list[str]:
    """Decoded tokens at which values stand."""
    return [codec.tokenizer.convert_ids_to_tokens(reading.ids[i]) for i in reading.at]


def text(codec: StepCodec, reading: Readout) -> str:
    return codec.tokenizer.decode(reading.ids, clean_up_tokenization_spaces=False)


def test_the_policys_ids_are_read_as_they_are() -> None:
    reader = PrefixReader(POLICY, POLICY, "step_end")
    asked = prefix(POLICY, *STEPS)
    assert reader.shares_ids
    prompt, length = len(asked.prompt_ids), len(asked.prompt_ids) + len(asked.token_ids)
    assert (
        reader.read(asked)
        == reader.read(prefix(POLICY, *STEPS, ends=False))
        == Readout((*asked.prompt_ids, *asked.token_ids), tuple(prompt + end for end in asked.ends), (prompt, length))
    )
    assert at(POLICY, reader.read(asked)) == ["\n", "\n"]


def test_a_copy_of_the_tokenizer_is_the_same_tokenizer_and_another_template_is_not() -> None:
    assert PrefixReader(StepCodec(Format(), copy.deepcopy(words())), POLICY, "last").shares_ids
    assert not PrefixReader(StepCodec(Format(), bpe()), POLICY, "last").shares_ids
    assert not PrefixReader(StepCodec(Format(model=ModelFormat(plain_suffix="")), words()), POLICY, "last").shares_ids
    assert not PrefixReader(StepCodec(Format(model=ModelFormat(step_token="!")), words()), POLICY, "last").shares_ids
    chat = copy.deepcopy(words())
    chat.chat_template = CHAT
    talks = Format(model=ModelFormat(template="chat"))
    assert PrefixReader(StepCodec(talks, chat), StepCodec(talks, copy.deepcopy(chat)), "last").shares_ids
    other = copy.deepcopy(chat)
    other.chat_template = CHAT.replace("<assistant>", "<model>")
    assert not PrefixReader(StepCodec(talks, chat), StepCodec(talks, other), "last").shares_ids


@pytest.mark.parametrize("ends", [True, False])
def test_a_whole_solution_is_read_with_its_end_token_whether_written_or_not(ends: bool) -> None:
    reader = PrefixReader(POLICY, POLICY, "step_end")
    written, cut = whole(POLICY, *STEPS, ends=ends), whole(POLICY, *STEPS, end=False, ends=ends)
    assert reader.read(written) == reader.read(cut)
    assert at(POLICY, reader.read(written)) == ["\n", "\n", "<eos>"]
    assert text(POLICY, reader.read(cut)).endswith("14\nAnswer: 17<eos>")


def test_a_solution_without_answer_gets_no_end_token() -> None:
    reader = PrefixReader(POLICY, POLICY, "step_end")
    assert at(POLICY, reader.read(prefix(POLICY, *STEPS, ended=True))) == ["\n", "\n"]


@pytest.mark.parametrize("own", [POLICY, OWN])
def test_a_bare_problem_is_read_at_the_prompts_last_token(own: StepCodec) -> None:
    reading, length = (
        PrefixReader(own, POLICY, "step_end").read(prefix(POLICY)),
        len(own.prompt_ids("Ana has 12 coins.")),
    )
    assert reading == Readout(tuple(own.prompt_ids("Ana has 12 coins.")), (length - 1,), (length,))


@pytest.mark.parametrize("own", [POLICY, OWN])
def test_a_head_for_outcomes_is_read_once(own: StepCodec) -> None:
    reading = PrefixReader(own, POLICY, "last").read(whole(POLICY, *STEPS))
    assert reading.at == (len(reading.ids) - 1,) and at(own, reading) == ["<eos>"]


def test_another_tokenizer_reads_texts_under_its_own_template() -> None:
    reader = PrefixReader(OWN, POLICY, "step_end")
    reading = reader.read(whole(POLICY, *STEPS))
    assert not reader.shares_ids
    assert text(OWN, reading) == "Ana has 12 coins. ->\nBen: 12 + 5 = 17\nCleo: 17 - 3 = 14\nAnswer: 17<eos>"
    assert [OWN.tokenizer.decode(reading.ids[: i + 1]).rsplit("->\n")[1] for i in reading.at] == [
        "Ben: 12 + 5 = 17\n",
        "Ben: 12 + 5 = 17\nCleo: 17 - 3 = 14\n",
        "Ben: 12 + 5 = 17\nCleo: 17 - 3 = 14\nAnswer: 17<eos>",
    ]


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("ends", [False, True])
def test_an_open_step_gets_no_delimiter(ended: bool, ends: bool) -> None:
    """The policy is in the middle of its second line, or was cut there."""
    closed = whole(POLICY, STEPS[0], end=False)
    line = POLICY.encode(typed(("step", "Cora: 17 -")), end=False)[0].token_ids
    first = closed.ends[0] + 1
    asked = dataclasses.replace(
        prefix(POLICY, STEPS[0], ended=ended),
        token_ids=(*closed.token_ids[:first], *line),
        read=lambda: ((STEPS[0], "Cora: 17 -"), ""),
        ends=(first - 1, first + len(line) - 1) if ends else (),
    )
    assert text(OWN, PrefixReader(OWN, POLICY, "step_end").read(asked)).endswith("17\nCora: 17 -")
    own = PrefixReader(POLICY, POLICY, "step_end").read(asked)
    assert own.at == (len(asked.prompt_ids) + first - 1, len(own.ids) - 1)


def test_readings_are_cut_where_nodes_end() -> None:
    """Whatever the nodes hold; an end token that is added belongs to the last one."""
    asked = dataclasses.replace(whole(POLICY, *STEPS, end=False), cuts=(3, 9, 27))
    prompt, length = len(asked.prompt_ids), len(asked.prompt_ids) + len(asked.token_ids)
    assert PrefixReader(POLICY, POLICY, "last").read(asked).cuts == (prompt, prompt + 3, prompt + 9, length + 1)
    foreign = PrefixReader(OWN, POLICY, "last").read(asked)
    begin = len(OWN.prompt_ids("Ana has 12 coins."))
    assert [OWN.decode(foreign.ids[a:b]) for a, b in itertools.pairwise((begin, *foreign.cuts[1:]))] == [
        f"{s}\n" for s in STEPS
    ] + ["Answer: 17"]


STEP = StepCodec(Format(model=ModelFormat(step_token="<bos>")), bpe(bos=False))


@pytest.mark.parametrize(
    ("asked", "expected", "values"),
    [
        (prefix(POLICY, *STEPS), "Ben: 12 + 5 = 17<bos>Cleo: 17 - 3 = 14<bos>", 2),
        (whole(POLICY, STEPS[0]), "Ben: 12 + 5 = 17<bos>Answer: 17<bos>", 2),
        (prefix(POLICY), "<bos>", 1),
    ],
)
def test_a_step_token_stands_for_the_delimiter_and_is_read(asked: Any, expected: str, values: int) -> None:
    reading = PrefixReader(STEP, POLICY, "step_end").read(asked)
    assert text(STEP, reading) == "Ana has 12 coins.\n" + expected
    assert at(STEP, reading) == ["<bos>"] * values


def test_a_delimiter_that_is_no_white_space_is_not_doubled() -> None:
    fmt = Format(task=TaskFormat(step_delimiter="."))
    own = StepCodec(fmt, bpe())
    reading = PrefixReader(own, StepCodec(fmt, words()), "step_end").read(prefix(POLICY, "Ben has 17.", "So has Cleo."))
    assert text(own, reading).endswith("coins.\nBen has 17.So has Cleo.")
