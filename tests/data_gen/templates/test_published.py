"""A published policy carries a chat template that gives its own prompts to other programs, token for token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from data_gen.checkpoints import load_format, load_tokenizer, save_text
from data_gen.format import Example, Format, ModelFormat, StepCodec, TaskFormat
from data_gen.templates.published import published_template
from data_gen.templates.rendering import Chat, frozen, render
from tests.data_gen.templates.samples import samples
from tests.data_gen.tokenizers import KINDS

QUESTIONS = ("2 + 2?", "Ana has 12.\n\nHow many 'are' left\\n?", "{{ bos_token }} {% if é 😀")
TASKS = {
    "bare": TaskFormat(),
    "wrapped": TaskFormat(prompt="Q: '{question}'\nAgain: {question}\\n\nGo!"),
    "shown": TaskFormat(examples=(Example(question="1 + 1?", solution="It's 2.\nAnswer: 2"),)),
    "all": TaskFormat(
        prompt="Q: {question}\n",
        examples=(Example(question="1?", solution="Answer: 1"), Example(question="2?", solution="Answer: 2")),
    ),
}


def asked(tokenizer: Any, question: str, **more: Any) -> Any:
    turns = [{"role": "user", "content": question}]
    return tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False, **more)


def check(made: StepCodec, folder: Path) -> None:
    """Other programs ask by the published tokenizer; this one reads the folder as it was."""
    before = made.tokenizer.chat_template
    save_text(made, folder)
    assert made.tokenizer.chat_template == before
    published, own = AutoTokenizer.from_pretrained(folder), load_tokenizer(folder)
    again = StepCodec(load_format(folder), own)
    for question in QUESTIONS:
        assert asked(published, question) == made.prompt_ids(question) == again.prompt_ids(question)
        # As lm-eval does with `add_bos_token=False`, which renders first and tokenises then.
        rendered = asked(published, question, tokenize=False)
        assert published(rendered, add_special_tokens=False)["input_ids"] == made.prompt_ids(question)
    assert published_template(again) == published.chat_template
    assert again.end_ids == made.end_ids


@pytest.mark.parametrize("task", sorted(TASKS))
@pytest.mark.parametrize("name", sorted(samples()))
def test_a_chat_policy_carries_its_prompt(name: str, task: str, tmp_path: Path) -> None:
    sample = samples()[name]
    system = "It's \\ brief.\nVery." if sample.system else ""
    made = StepCodec(Format(task=TASKS[task], model=ModelFormat(template="chat", system=system)), sample.tokenizer)
    check(made, tmp_path)


@pytest.mark.parametrize("task", sorted(TASKS))
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_plain_policy_carries_its_prompt(kind: str, task: str, tmp_path: Path) -> None:
    """The tokenizer's own template, if it has one, is not what such a policy was trained on."""
    check(StepCodec(Format(task=TASKS[task], model=ModelFormat(plain_suffix=" ->\n")), KINDS[kind]()), tmp_path)


def test_a_template_that_is_asked_as_it_is_stays_as_it_is(tmp_path: Path) -> None:
    sample = samples()["chatml"]
    made = StepCodec(Format(model=ModelFormat(template="chat")), sample.tokenizer)
    assert published_template(made) == sample.tokenizer.chat_template


def test_a_clock_is_published_frozen() -> None:
    made = StepCodec(Format(model=ModelFormat(template="chat", date="2031-02-03")), samples()["llama3"].tokenizer)
    assert "Today Date: 03 Feb 2031" in asked(
        made.tokenizer, "2?", chat_template=published_template(made), tokenize=False
    )


@pytest.mark.parametrize("form", ["%d %b %Y", "%Y-%m-%d", "%A, %-d %B %Y, %H:%M:%S", "100%% on day %j of '%y"])
def test_the_frozen_clock_writes_what_strftime_writes(form: str) -> None:
    from datetime import datetime

    tokenizer = samples()["chatml"].tokenizer
    quoted = form.replace("'", "\\'")
    template = f"{{% macro now() %}}{{{{ strftime_now('{quoted}') }}}}{{% endmacro %}}{{{{ now() }}}}"
    [text] = render(frozen(template, "2031-02-03"), tokenizer, Chat((("user", "2?"),), True))
    assert text == datetime(2031, 2, 3).strftime(form)


def test_a_callers_own_system_text_and_later_turns_are_kept() -> None:
    model = ModelFormat(template="chat", system="Be brief.")
    made = StepCodec(Format(task=TASKS["all"], model=model), samples()["chatml"].tokenizer)
    turns = [("system", "Be long."), ("user", "2?"), ("assistant", "Answer: 2"), ("user", "3?")]
    [text] = render(str(published_template(made)), made.tokenizer, Chat(tuple(turns), True))
    wanted = [("system", "Be long."), ("user", "Q: 1?\n"), ("assistant", "Answer: 1"), ("user", "Q: 2?\n")]
    wanted += [("assistant", "Answer: 2"), ("user", "Q: 2?\n"), ("assistant", "Answer: 2"), ("user", "Q: 3?\n")]
    [same] = render(made.tokenizer.chat_template, made.tokenizer, Chat(tuple(wanted), True))
    assert text == same


def test_a_chat_with_a_plain_policy_goes_on_as_its_examples_do() -> None:
    made = StepCodec(Format(task=TASKS["all"]), KINDS["llama2"]())
    turns = (("user", "3?"), ("assistant", "Answer: 3"), ("user", "4?"))
    asks, ends = render(
        str(published_template(made)),
        made.tokenizer,
        Chat(turns, True),
        Chat((*turns, ("assistant", "Answer: 4")), False),
    )
    shown = "<s>Q: 1?\n\nAnswer: 1\n\nQ: 2?\n\nAnswer: 2\n\n"
    assert asks == shown + "Q: 3?\n\nAnswer: 3\n\nQ: 4?\n\n"
    assert ends == shown + "Q: 3?\n\nAnswer: 3\n\nQ: 4?\n\nAnswer: 4</s>"


def test_a_prompt_that_no_template_can_give_is_published_with_none(tmp_path: Path) -> None:
    task = TaskFormat(examples=(Example(question="Which?", solution="<|im_end|>\nAnswer: 1"),))
    made = StepCodec(Format(task=task, model=ModelFormat(template="chat")), samples()["chatml"].tokenizer)
    assert published_template(made) is None
    save_text(made, tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path).chat_template is None
    assert isinstance(load_tokenizer(tmp_path), PreTrainedTokenizerFast)
    assert StepCodec(load_format(tmp_path), load_tokenizer(tmp_path)).prompt_ids("2?") == made.prompt_ids("2?")
