"""Prompts and ends, learned from rendered turns of chat templates."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from data_gen.errors import UserError
from data_gen.format import Example, Format, ModelFormat, StepCodec, TaskFormat
from data_gen.marks import Mark, Marks
from tests.data_gen.templates.samples import FORGETFUL, GLM, samples
from tests.data_gen.tokenizers import CHATML, KINDS, byte_level, llama2
from tests.data_gen.typed import typed

SHOWN = (Example(question="1 + 1?", solution="1 + 1 = 2\nAnswer: 2"), Example(question="2?", solution="Answer: 2"))
names = st.sampled_from(sorted(samples()))


def codec(tokenizer: Any, examples: tuple[Example, ...] = (), ends: tuple[str, ...] = (), **model: Any) -> StepCodec:
    task = TaskFormat(prompt="Q: {question}\nGo!", examples=examples, ends=ends)
    return StepCodec(Format(task=task, model=ModelFormat(**{"template": "chat", **model})), tokenizer)


def rendered(tokenizer: Any, question: str, examples: tuple[Example, ...], system: str) -> Any:
    """What transformers makes of the same turns."""
    turns = [("user", f"Q: {e.question}\nGo!", "assistant", e.solution) for e in examples]
    shown = [{"role": role, "content": text} for turn in turns for role, text in (turn[:2], turn[2:])]
    before = [{"role": "system", "content": system}] if system else []
    asked = {"role": "user", "content": f"Q: {question}\nGo!"}
    return tokenizer.apply_chat_template([*before, *shown, asked], add_generation_prompt=True, tokenize=False)


@pytest.mark.parametrize("name", sorted(samples()))
@pytest.mark.parametrize(("examples", "system"), [((), ""), (SHOWN, ""), ((), "Be brief."), (SHOWN, "Be brief.")])
def test_a_prompt_is_what_transformers_renders(name: str, examples: tuple[Example, ...], system: str) -> None:
    sample = samples()[name]
    if name == "llama3" or (system and not sample.system):  # these are looked at below
        return
    made = codec(sample.tokenizer, examples, system=system)
    for question in ("2 + 2?", "  How many?\n\n", "{{ bos_token }} {% if", "é 😀"):
        text = rendered(sample.tokenizer, question, examples, system)
        assert made.prompt_text(question) == text
        assert made.prompt_ids(question) == sample.tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("name", sorted(samples()))
def test_what_ends_a_turn_is_learned_trained_and_stops(name: str) -> None:
    sample = samples()[name]
    made, end = codec(sample.tokenizer), sample.tokenizer.convert_tokens_to_ids(sample.end)
    assert made.end_id == end
    assert {end, sample.tokenizer.eos_token_id} <= made.end_ids
    written = made.encode(typed(("answer", "Answer: 8")), end=True)
    assert written[-1].token_ids == (end,)
    assert [s.kind for s in made.split([t for s in written for t in s.token_ids])] == ["answer", "end"]


def test_the_next_turn_stops_a_model_whose_turns_have_no_end() -> None:
    """GLM's answers end where the next user's turn begins; eos is what is trained."""
    made = codec(samples()["glm"].tokenizer)
    assert {made.tokenizer.convert_ids_to_tokens(i) for i in made.end_ids} == {"<|endoftext|>", "<|user|>"}


def test_all_ends_of_a_generation_config_count() -> None:
    tokenizer = samples()["chatml"].tokenizer
    made = StepCodec(Format(model=ModelFormat(template="chat")), tokenizer, [tokenizer.convert_tokens_to_ids("<bos>")])
    assert {tokenizer.convert_ids_to_tokens(i) for i in made.end_ids} == {"<|endoftext|>", "<|im_end|>", "<bos>"}


def test_a_tokenizer_without_eos_takes_the_learned_end_or_the_configs() -> None:
    made = codec(byte_level(eos_token=""))
    assert made.tokenizer.eos_token == "<|im_end|>"
    bare = StepCodec(Format(), byte_level(eos_token=""), [2, 1])
    assert (bare.end_id, bare.end_ids, bare.tokenizer.eos_token) == (2, {1, 2}, "<|im_end|>")
    with pytest.raises(UserError, match="no eos token, so no solution could end"):
        StepCodec(Format(), byte_level(eos_token=""))


@pytest.mark.parametrize("name", ["chatml", "llama2", "llama3", "phi3"])
def test_a_control_token_that_a_question_spells_stays_text(name: str) -> None:
    sample = samples()[name]
    made = codec(sample.tokenizer, system="Be brief.")
    control = {sample.tokenizer.convert_tokens_to_ids(token) for token in (sample.end, sample.tokenizer.eos_token)}

    def count(question: str) -> int:
        return sum(i in control for i in made.prompt_ids(question))

    asked = f"Which tag ends a turn: {sample.end} or </turn>? {sample.tokenizer.eos_token}{sample.end}"
    assert count(asked) == count("Which?")
    shown = sample.tokenizer.backend_tokenizer.decode(made.prompt_ids(asked), skip_special_tokens=True)
    assert asked in shown


@given(st.sampled_from(sorted(KINDS)), st.lists(st.sampled_from(["7", " ", "\n", "<END>", "Ben", "<BOS>"]), max_size=8))
def test_only_the_control_tokens_of_a_plain_question_differ_from_the_tokenizers_own_ids(
    kind: str, parts: list[str]
) -> None:
    tokenizer = KINDS[kind]()
    end = tokenizer.eos_token
    made = StepCodec(Format(), tokenizer)
    question = "".join(parts).replace("<END>", end).replace("<BOS>", tokenizer.bos_token or end)
    ids = made.prompt_ids(question)
    assert made.end_ids.isdisjoint(ids)
    if end not in question and (tokenizer.bos_token or end) not in question:
        bare = tokenizer(question + "\n", add_special_tokens=False)["input_ids"]
        assert ids[len(ids) - len(bare) :] == bare


def test_control_tokens_in_examples_system_text_and_completions_stay_text() -> None:
    tokenizer = samples()["chatml"].tokenizer
    shown = (Example(question="<|im_end|>?", solution="It is <|im_end|>\nAnswer: 1"),)
    made = codec(tokenizer, shown, system="Say <|endoftext|> never.")
    plain = codec(tokenizer, (Example(question="7?", solution="It is 7\nAnswer: 1"),), system="Say 7 never.")
    for token in ("<|im_end|>", "<|im_start|>", "<|endoftext|>"):
        counts = [one.prompt_ids("2?").count(tokenizer.convert_tokens_to_ids(token)) for one in (made, plain)]
        assert counts[0] == counts[1]
    assert "It is <|im_end|>" in made.prompt_text("2?")
    said = made.encode(typed(("step", "<|im_end|> ends it\n"), ("answer", "Answer: <|endoftext|>")), end=True)
    assert [sum(i in made.end_ids for i in s.token_ids) for s in said] == [0, 0, 1]
    assert "".join(s.text for s in made.split([t for s in said for t in s.token_ids])) == (
        "<|im_end|> ends it\nAnswer: <|endoftext|>"
    )


def test_added_tokens_that_are_no_control_tokens_are_read_as_ever() -> None:
    """`<think>` of Qwen3 is a word of its vocabulary, which a question or an example may use."""
    tokenizer = byte_level()
    tokenizer.add_tokens(["<think>"])
    made = codec(tokenizer, (Example(question="1?", solution="<think>1\nAnswer: 1"),))
    assert made.prompt_ids("<think>?").count(tokenizer.convert_tokens_to_ids("<think>")) == 2


def test_a_role_token_that_is_not_marked_special_stays_text_too() -> None:
    tokenizer = byte_level(special=["<|endoftext|>"], template=CHATML)
    tokenizer.add_tokens(["<|im_start|>", "<|im_end|>"])
    made = codec(tokenizer)
    assert made.prompt_ids("<|im_end|>\n<|im_start|>user?").count(made.end_id) == 1
    assert tokenizer.convert_ids_to_tokens(made.end_id) == "<|im_end|>"


def test_a_clock_stands_at_the_formats_date() -> None:
    tokenizer = samples()["llama3"].tokenizer
    assert "Today Date: 26 Jul 2024\n\nBe brief.<|eot|>" in codec(tokenizer, system="Be brief.").prompt_text("2?")
    assert "Today Date: 03 Feb 2031\n\n<|eot|>" in codec(tokenizer, date="2031-02-03").prompt_text("2?")
    with pytest.raises(ValueError, match="day is out of range"):
        ModelFormat(date="2031-02-30")


HOSTILE = {
    "{{ raise_exception('only pictures') }}": "only pictures",
    "{% if": "TemplateSyntaxError",
    "{{ messages[7].content }}": "UndefinedError",
    "{{ 'a' * 99999999999 }}": "MemoryError",
    "{{ messages[0].content * 300000 }}": "writes [0-9]+ characters",
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}": "runs for more than 2 s",
    CHATML + "{{ range(99999) | random if add_generation_prompt }}": "does not write the same prompt twice",
    "": "changes or drops what the assistant says",
    "{% for m in messages %}{{ m.content | upper }}{% endfor %}": "changes or drops what the assistant says",
    "{% for m in messages %}{{ m.content if m.role == 'assistant' }}{% endfor %}": "drops or repeats the question",
    "{% for m in messages %}{{ m.content ~ m.content }}{% endfor %}": "what the assistant says",
    "{% for m in messages %}{{ m.content }}</answer>{% endfor %}": "ends a turn with '</answer>', which holds no token",
    GLM.replace("m['content']", "m['content'] | replace('\\n', ' ')"): "changes or drops what the assistant says",
}


@pytest.mark.parametrize("template", HOSTILE, ids=[f"template{i}" for i in range(len(HOSTILE))])
def test_a_template_that_cannot_ask_is_told(template: str) -> None:
    with pytest.raises(UserError, match=HOSTILE[template]):
        codec(byte_level(template=template))


@pytest.mark.parametrize("number", ["0", "7", "9" * 5000])
def test_a_template_may_write_the_marks_that_stand_for_control_tokens(number: str) -> None:
    """They are no characters of any text in use, but a template from the Hub may hold anything."""
    mark = f"\ufdd2{number}\ufdd3"
    made = codec(byte_level(template=CHATML.replace("<|im_start|>", f"{mark}<|im_start|>", 1)))
    assert made.prompt_text("2?") == f"{mark}<|im_start|>user\nQ: 2?\nGo!<|im_end|>\n<|im_start|>assistant\n"


def test_a_textual_end_is_taken_where_the_task_names_it() -> None:
    template = "{% for m in messages %}{{ m.content }}</answer>{% endfor %}"
    assert codec(byte_level(template=template), ends=("</answer>",)).end_ids == {0}


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        (None, "brings no chat template"),
        ({"rag": CHATML, "tool_use": CHATML}, "brings only templates named rag, tool_use"),
        (FORGETFUL, "drops the solution of a worked example, such as its thinking"),
        (CHATML.replace("{{", "{{ '' if m.role == 'system' else", 1), r"drops the system text \(`format.system`\)"),
    ],
)
def test_a_template_that_lacks_or_drops_something_is_told(template: Any, wanted: str) -> None:
    tokenizer = byte_level()
    tokenizer.chat_template = template
    shown = (Example(question="1 + 1?", solution="<think>1 + 1 is 2</think>\nAnswer: 2"),)
    with pytest.raises(UserError, match=wanted):
        codec(tokenizer, shown, system="Be brief.")


def test_a_refused_system_role_is_told() -> None:
    with pytest.raises(
        UserError, match=r"refuses a chat of a system text \(`format.system`\), user turns.*not supported"
    ):
        codec(samples()["gemma"].tokenizer, system="Be brief.")


def test_auto_is_a_chat_where_there_is_a_template() -> None:
    assert codec(byte_level(), template="auto").format == codec(byte_level()).format
    bare = codec(byte_level(template=None), template="auto")
    assert (bare.format.model.template, bare.prompt_text("2?")) == ("plain", "Q: 2?\nGo!\n")


def test_the_default_of_several_templates_is_taken() -> None:
    tokenizer = byte_level()
    tokenizer.chat_template = {"default": CHATML, "rag": "{{ messages }}"}
    assert codec(tokenizer).prompt_text("2?").startswith("<|im_start|>user\nQ: 2?")


def test_a_control_token_that_a_tokenizer_can_only_read_as_one_is_told() -> None:
    """Its merges build the token from text."""
    vocabulary = {piece: i for i, piece in enumerate(["</s>", "<", "/", "s", ">", "?", "\n", "s>", "/s>"])}
    core = Tokenizer(models.BPE(vocabulary, [("s", ">"), ("/", "s>"), ("<", "/s>")]))
    made = StepCodec(Format(), PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>"))
    assert made.prompt_ids("?") == [5, 6]
    with pytest.raises(UserError, match=r"spelled in '</s>\?.*can read it only as that token"):
        made.prompt_ids("</s>?")


def test_control_tokens_that_the_tokenizer_itself_misses_are_left_to_it() -> None:
    """A control token that is normalised (some copies of Llama 2) is found at the start of a text alone."""
    made = json.loads(samples()["llama2"].tokenizer.backend_tokenizer.to_str())
    for token in made["added_tokens"]:
        token["normalized"] = True
    core = Tokenizer.from_str(json.dumps(made))
    template = samples()["llama2"].tokenizer.chat_template
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, chat_template=template, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    shown = codec(tokenizer, SHOWN)
    assert (
        shown.prompt_ids("2?") == tokenizer(rendered(tokenizer, "2?", SHOWN, ""), add_special_tokens=False)["input_ids"]
    )


def test_bos_of_a_template_is_not_doubled() -> None:
    made = codec(llama2(template=samples()["llama2"].tokenizer.chat_template))
    assert made.prompt_ids("2?").count(1) == 1


@pytest.mark.parametrize("name", ["thinking", "chatml"])
def test_thoughts_that_the_prompt_opens_are_thoughts(name: str) -> None:
    """DeepSeek-R1's template writes `<think>` itself, so a completion begins inside the thoughts."""
    task = TaskFormat(marks=Marks(think=Mark(open="<think>", close="</think>")))
    made = StepCodec(Format(task=task, model=ModelFormat(template="chat")), samples()[name].tokenizer)

    def ids(text: str) -> list[int]:
        return list(made.tokenizer(text, add_special_tokens=False)["input_ids"])

    thought, said = "Is it 8?\nAnswer: 8</think>", "\n7 is right\nAnswer: 7"
    begun = "<think>" if name == "chatml" else ""
    whole = ids(begun + thought + said)
    assert [s.kind for s in made.split([*whole, made.end_id])] == ["think", "step", "answer", "end"]
    assert made.answer([*whole, made.end_id]) == "7"
    assert "".join(s.text for s in made.split(whole)) == begun + thought + said
    assert [s.kind for s in made.split(ids(begun + "Is it 8?\nAnswer: 8"))] == ["think"]
    assert not made.complete(ids(begun + "Is it 8?\n"))
    first = ids(begun + thought)
    later = made.steps(whole[len(first) :], before=first)
    assert [[s.kind for s in step] for step in later] == [["step"], ["answer"]]


def test_the_thought_that_a_prompt_leaves_open_is_the_last_one() -> None:
    marks = Marks(think=Mark(open="<t>", close="</t>"), plan=Mark(open="<p>", close="</p>"))
    texts = {"": None, "<t>x</t>": None, "<p><t>": "think", "</t><t>\n": "think", "<t></t><p>": "plan"}
    assert {text: (marks.opened_by(text) or [None])[0] for text in texts} == texts
