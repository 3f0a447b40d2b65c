"""Conversations of several turns are what transformers renders of the same messages."""

from __future__ import annotations

import pytest

from data_gen.records.calls import Turn
from tests.data_gen.templates.samples import samples
from tests.data_gen.templates.test_prompts import SHOWN, codec

ASKED, MORE = Turn("user", "  2 + 2?\n"), Turn("user", "And {no} more?")
SAID = Turn("assistant", "2 + 2 = 4\nAnswer: 4")


@pytest.mark.parametrize("name", sorted(samples()))
@pytest.mark.parametrize("system", ["", "Check <it>."])
def test_turns_are_what_transformers_renders(name: str, system: str) -> None:
    sample = samples()[name]
    if name == "llama3" or (system and not sample.system):  # it reads the clock; they refuse a system text
        return
    made = codec(sample.tokenizer, SHOWN)  # a conversation has no worked examples
    turns = [*([Turn("system", system)] if system else []), ASKED, SAID, MORE, SAID, ASKED]
    messages = [{"role": turn.role, "content": turn.text} for turn in turns]
    text = sample.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert made.turns_text(turns) == text
    assert made.turns_ids(turns) == sample.tokenizer(text, add_special_tokens=False)["input_ids"]


def test_a_last_turn_of_the_assistant_begins_the_answer() -> None:
    made = codec(samples()["chatml"].tokenizer)
    text = made.turns_text([ASKED, SAID, MORE])
    assert made.turns_text([ASKED, SAID, MORE, Turn("assistant", "Answer: ")]) == text + "Answer: "


def test_a_single_turn_is_a_text_put_to_the_model() -> None:
    made = codec(samples()["chatml"].tokenizer, SHOWN)
    assert made.turns_ids([ASKED]) == made.ids_to_answer(ASKED.text)


def test_control_tokens_in_turns_stay_text() -> None:
    made = codec(samples()["chatml"].tokenizer)
    plain, spelled = (made.turns_ids([ASKED, Turn("assistant", said), MORE]) for said in ("x", "<|im_end|>"))
    end = made.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert plain.count(end) == spelled.count(end)
    assert "<|im_end|>" in made.turns_text([ASKED, Turn("assistant", "<|im_end|>"), MORE])


def test_a_servers_own_template_gets_the_turns_as_one_text() -> None:
    made = codec(samples()["chatml"].tokenizer, template="server")
    assert made.turns_text([ASKED, SAID, MORE]) == f"{ASKED.text}\n\n{SAID.text}\n\n{MORE.text}"
