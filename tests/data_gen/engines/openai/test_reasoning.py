"""Hosted reasoning: what a server gives apart from the answer becomes a thought, and what it does not give is an
error."""

from __future__ import annotations

from typing import Any

import pytest

from data_gen.engines.base import Sample, Sampling
from data_gen.engines.openai.choices import read_choices
from data_gen.engines.openai.http_answers import Malformed
from data_gen.engines.openai.text import TextBridge
from data_gen.errors import UserError
from data_gen.format import Format, StepCodec, TaskFormat
from data_gen.marks import Mark, Marks
from data_gen.programs.solve import grade_samples
from data_gen.records.problem import Problem
from data_gen.records.solution import Solution
from data_gen.records.verdict import Verdict
from data_gen.tasks.jsonl import Jsonl
from tests.data_gen.engines.openai.fake_server import Reply, serving
from tests.data_gen.engines.openai.test_engine import always, ask, engine
from tests.data_gen.tokenizers import KINDS

THINK = Marks(think=Mark(open="<think>", close="</think>"))
TASK = Jsonl(uses="jsonl", path="unread.jsonl", split={"test": None})  # type: ignore[arg-type]
PROBLEM = Problem(id="1", question="3 + 4?", gold="7", group="1", split="test")


def chat(content: Any, finish: str = "stop", **message: Any) -> dict[str, Any]:
    told = {"role": "assistant", "content": content, **message}
    return {"choices": [{"index": 0, "message": told, "finish_reason": finish}]}


def graded(kind: str, body: dict[str, Any], marks: Marks) -> Solution:
    codec = StepCodec(Format(task=TaskFormat(marks=marks)), KINDS[kind]())
    bridge = TextBridge(codec.tokenizer, codec.end_id, codec.end_ids, think=marks.think, keeps_stop=False)
    [choice] = read_choices(body)
    sample = bridge.sample(choice, Sampling(max_tokens=99))
    [solution] = grade_samples(PROBLEM, (5,), [sample], Sampling(max_tokens=99), codec, TASK)
    return solution


@pytest.mark.parametrize("kind", ["byte_level", "llama2", "metaspace_first", "metaspace_never"])
@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize("marks", [Marks(), THINK])
def test_reasoning_is_a_thought_from_which_no_answer_is_read(kind: str, name: str, marks: Marks) -> None:
    body = chat("3 + 4 = 7\nAnswer: 7", **{name: "Is it 8?\nAnswer: 8"})
    solution = graded(kind, body, marks)
    kinds = [segment.kind for segment in solution.segments]
    assert kinds == ["think", "step", "answer", "end"]
    assert (solution.answer, solution.verdict) == ("7", Verdict.CORRECT)
    assert "Answer: 8" in solution.segments[0].text
    codec = StepCodec(Format(task=TaskFormat(marks=marks)), KINDS[kind]())
    assert codec.reads(solution.token_ids, solution.text)


def test_a_thought_that_repeats_the_right_answer_makes_no_wrong_one_right() -> None:
    assert graded("byte_level", chat("Answer: 8", reasoning="Answer: 7"), Marks()).verdict is Verdict.WRONG
    assert graded("byte_level", chat("I give up.", reasoning="Answer: 7"), Marks()).answer is None


@pytest.mark.parametrize("marks", [Marks(), THINK])
def test_a_limit_within_the_reasoning_leaves_a_cut_thought(marks: Marks) -> None:
    solution = graded("byte_level", chat(None, "length", reasoning_content="Is it 7?\nAnswer: 7"), marks)
    assert [segment.kind for segment in solution.segments] == ["think"]
    assert (solution.answer, solution.finish, solution.verdict) == (None, "length", Verdict.WRONG)


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (chat(None), "its content is null"),
        (chat(None, refusal="I must not."), "its content is null, it refuses: I must not."),
        (chat(None, "length"), "its content is null"),
        (chat(None, "content_filter"), "its content is null"),
        (chat(None, reasoning="7"), "its content is null"),
        (chat([{"type": "text", "text": "7"}]), "its content is a list"),
        (chat("7", reasoning=["7"]), "the reasoning of a choice is a list"),
        ({"choices": [{"index": 0, "text": None, "finish_reason": "stop"}]}, "its content is null"),
        ({"choices": [{"index": 0, "message": {}, "finish_reason": "stop"}]}, "its content is null"),
    ],
)
def test_no_content_is_an_error_and_no_empty_solution(body: dict[str, Any], wanted: str) -> None:
    with pytest.raises(Malformed, match=wanted):
        read_choices(body)


def test_an_answer_without_content_is_asked_again_counted_and_in_the_end_told() -> None:
    with serving(lambda k, _: Reply(body=chat(None) if k == 0 else chat("7"))) as server:
        asked = engine(server, "openai", chat=True)
        [sample] = ask(asked, (3,))
        assert (sample.finish, asked.transport.retries) == ("stop", 1)
    with (
        serving(always(chat(None, refusal="No."))) as server,
        pytest.raises(UserError, match=r"failed 3 times.*its content is null, it refuses: No\."),
    ):
        ask(engine(server, "openai", chat=True), (3,))


def test_what_a_server_samples_behind_an_end_is_no_part_of_the_solution() -> None:
    codec = StepCodec(Format(), KINDS["byte_level"](), [2])
    ids = codec.tokenizer("Answer: 7<|im_end|>\n<|im_start|>user\nAnswer: 8<|endoftext|>")["input_ids"]
    run_on = Sample(token_ids=tuple(ids), logprobs=tuple(-float(i) for i in range(len(ids))), finish="length")
    [solution] = grade_samples(PROBLEM, (5,), [run_on], Sampling(max_tokens=99), codec, TASK)
    assert (solution.answer, solution.finish, solution.token_ids[-1]) == ("7", "stop", 2)
    assert len(solution.logprobs) == len(solution.token_ids) == ids.index(2) + 1
