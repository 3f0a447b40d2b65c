"""Transforms by hand, and what holds for all of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from data_gen.errors import UserError
from data_gen.records.problem import Problem
from data_gen.records.segment import Segment
from data_gen.records.solution import Solution
from data_gen.transforms import TRANSFORMS
from data_gen.transforms.base import Transform, apply_all, retold
from data_gen.transforms.render import Form
from tests.reasoning_train.bench import problem, solution

ASKED = problem("p", gold_steps=("12 + 5 = 17", "17 - 3 = 14"))


def worked(steps: int, *, sample: int = 0, answer: bool = True) -> Solution:
    """Steps of two tokens and an answer of one."""
    segments = [Segment(kind="step", text=f"step {i}\n", token_ids=(i, 50)) for i in range(steps)]
    segments += [Segment(kind="answer", text="Answer: 12", token_ids=(60,))] * answer
    more: dict[str, Any] = {"logprobs": (-0.5,) * (2 * steps + answer), "steps_ok": True, "group": "p"}
    more |= {"question": ASKED.question, "step_labels": (True,) * steps, "prompt_ids": (7, 8), "value": 0.5}
    more |= {
        "teacher_ids": ((1, 2),) * (2 * steps + answer),
        "teacher_logprobs": ((-1.0, -2.0),) * (2 * steps + answer),
    }
    return solution("p", "", sample=sample, **more | {"segments": tuple(segments)})


def one_of(config: Any) -> Transform:
    transform: Transform = TypeAdapter(TRANSFORMS.union()).validate_python(config)
    return transform


def made(config: Any, rows: Sequence[Solution], seed: int = 0, asked: Problem = ASKED) -> list[Solution]:
    return list(one_of(config)(asked, rows, random.Random(seed)))


def test_the_last_steps_stay_before_the_answer() -> None:
    [one] = made({"uses": "keep_last", "n": 2}, [worked(4)])
    assert one.text == "step 2\nstep 3\nAnswer: 12"
    assert one.token_ids == ()  # ids belong to a text as a whole
    assert (one.logprobs, one.steps_ok, one.verdict) == ((), None, "correct")
    assert (one.teacher_ids, one.teacher_logprobs) == ((), ())


def test_a_row_that_is_short_already_stays_as_it_is() -> None:
    row = worked(2)
    assert made({"uses": "keep_last", "n": 2}, [row]) == [row]


def test_the_shortest_by_tokens_then_in_order() -> None:
    rows = [worked(3), worked(1, sample=1), worked(2, sample=2), worked(1, sample=3)]
    assert [row.sample for row in made({"uses": "shortest", "n": 3}, rows)] == [1, 2, 3]
    assert [row.sample for row in made("shortest", rows)] == [1]


CONFIGS: dict[str, list[Any]] = {
    "abstract": [{}, {"name": "v{n}"}],
    "edit_steps": [{"merge": 2}, {"split": " "}, {"every": 2}, {"expand": ["Check: {step}"]}],
    "faithful": [{}, {"numbers": False}],
    "noise": [{"rate": 1}, {"rate": 1, "each": "segment"}, {"rate": 1, "kinds": ["answer"]}],
    "stage": [{"upto": ["plan", "step"]}, {"least": 3, "most": 9}],
    "transitions": [{}, {"history": 0}],
    "views": [{"views": {"answer": {"tell": ["answer"]}, "rest": {"show": ["step"]}, "all": {}}}],
    "drop": [{"levels": [{}, {"steps": "[02]"}, {"inside": "ep"}, {"share": 0.5}]}],
    "mask": [{"weights": {"step": 0.5}}, {"spans": [{"pattern": "[0-9]", "weight": 0.25}]}],
    "render": [{"form": form} for form in get_args(Form)],
    "reprompt": [{"templates": ["{question} a", "{question} b"]}, {"control": "short "}],
    "retext": [{"rules": [{"pattern": "step", "to": "line"}]}],
}
"""Settings that a transform needs, or that differ in kind."""
SETTINGS = [{"uses": name, **more} for name in TRANSFORMS.names() for more in CONFIGS.get(name, [{}])]


@pytest.mark.parametrize("config", SETTINGS, ids=lambda config: "-".join(map(str, config.values()))[:40])
@settings(max_examples=15)
@given(lengths=st.lists(st.integers(0, 6), max_size=5), seed=st.integers(0, 3), with_ids=st.booleans())
def test_every_transform_is_a_pure_function_that_keeps_the_problem(
    config: dict[str, Any], lengths: list[int], seed: int, with_ids: bool
) -> None:
    rows = [worked(n, sample=i) for i, n in enumerate(lengths)]
    rows = rows if with_ids else [retold(row, [replace(s, weight=0.5) for s in row.segments]) for row in rows]
    before = tuple(rows)
    first, again = made(config, rows, seed), made(config, rows, seed)
    assert first == again
    assert tuple(rows) == before
    assert all((row.problem_id, row.group, row.answer) == ("p", "p", "12") for row in first)
    for row in first:
        said = [segment for segment in row.segments if segment.text]
        assert said and len({bool(segment.token_ids) for segment in said}) == 1
        whole = next(one for one in rows if one.sample == row.sample)
        if row.text != whole.text:
            assert (row.token_ids, row.logprobs, row.steps_ok, row.step_labels) == ((), (), None, ())
            assert row.value is None  # a verifier's, of the old text
        assert row.question == whole.question or not (row.prompt_ids or row.logprobs)


@pytest.mark.parametrize("config", SETTINGS, ids=lambda config: "-".join(map(str, config.values()))[:40])
def test_what_other_problems_and_copies_are_there_changes_nothing(config: dict[str, Any]) -> None:
    """The rows of one problem and copy follow from (seed, id, name, copy) alone."""
    transform = one_of(config)
    rows = [worked(5), worked(3, sample=1)]

    def applied(copy: int) -> list[Solution]:
        [(_, made)] = apply_all([transform], ASKED, rows, seed=0, copy=copy)
        return made

    first = [applied(copy) for copy in (0, 1, 2)]
    assert [applied(copy) for copy in (2, 1, 0)] == first[::-1]


class Marked(Transform):
    """Says what its stream drew."""

    uses: str = "marked"

    def __call__(self, problem: Problem, rows: Sequence[Solution], rng: random.Random) -> list[Solution]:
        return [solution("p", str(rng.random()), group="p")]


def drawn(transforms: Sequence[Transform], **more: int) -> list[str]:
    return [rows[0].text for _, rows in apply_all(transforms, ASKED, [], **{"seed": 0, "copy": 0, **more})]


def test_streams_derive_from_seed_problem_name_and_copy() -> None:
    one, other = Marked(), Marked(uses="other")
    first = drawn([one])
    assert first == drawn([one])
    assert drawn([other, one])[1:] == first  # a transform before it changes nothing
    assert len({*drawn([one, one]), *drawn([one], copy=1), *drawn([one], seed=1), *drawn([other])}) == 5


class Astray(Transform):
    """Names another problem."""

    uses: Literal["astray"] = "astray"

    def __call__(self, problem: Problem, rows: Sequence[Solution], rng: random.Random) -> list[Solution]:
        return [solution("q", "text")]


def test_a_row_of_another_problem_is_refused() -> None:
    with pytest.raises(UserError, match="transform 'astray': a row of problem 'p' came out as one of 'q'"):
        list(apply_all([Astray()], ASKED, [], seed=0, copy=0))


class Torn(Transform):
    """Leaves ids on one segment only."""

    uses: Literal["torn"] = "torn"

    def __call__(self, problem: Problem, rows: Sequence[Solution], rng: random.Random) -> list[Solution]:
        return [replace(row, segments=(replace(row.segments[0], token_ids=()), *row.segments[1:])) for row in rows]


def test_ids_for_a_part_of_a_text_are_refused() -> None:
    with pytest.raises(UserError, match=r"transform 'torn': a row of problem 'p' has token ids for a part of its text"):
        list(apply_all([Torn()], ASKED, [worked(2)], seed=0, copy=0))


BAD = [
    ({"uses": "mask"}, "weights, spans: both are missing"),
    ({"uses": "mask", "weights": {"setp": 1}}, "'prompt', 'plan', 'think'"),
    ({"uses": "mask", "weights": {"step": -1}}, "greater than or equal to 0"),
    ({"uses": "mask", "spans": [{"pattern": "("}]}, r"not a regular expression of Python: .*; got '\('"),
    ({"uses": "drop", "levels": []}, "at least 1 item"),
    ({"uses": "drop", "levels": [{"share": 1.5}]}, "less than or equal to 1"),
    ({"uses": "drop", "levels": [{"odds": 0}]}, "greater than 0"),
    ({"uses": "abstract", "name": "y"}, r"expected a letter and \{n\}, such as 'y\{n\}', got 'y'"),
    ({"uses": "abstract", "name": "res{n}"}, r"expected a letter and \{n\}, such as 'y\{n\}', got 'res\{n\}'"),
    ({"uses": "edit_steps"}, "expected one of merge, split, every and expand, got none"),
    ({"uses": "edit_steps", "merge": 2, "every": 2}, "expected one of .*, got merge, every"),
    ({"uses": "noise", "rate": 0}, "greater than 0"),
    ({"uses": "noise", "rate": 1, "words": ["up", "up"]}, "words: expected at least two different ones, got .*'up'"),
    ({"uses": "stage"}, "upto, least, most: all are missing"),
    ({"uses": "stage", "least": 3, "most": 2}, "expected least <= most, got 3 and 2"),
    ({"uses": "views", "views": {}}, "at least 1 item"),
    ({"uses": "views", "views": {"a": {"template": "?"}}}, "expected a text with"),
    ({"uses": "keep_last", "n": 0}, "greater than or equal to 1"),
    ({"uses": "render"}, "Field required"),
    ({"uses": "render", "form": "brief"}, "'answer', 'reasoned', 'compressed'"),
    ({"uses": "reprompt"}, "templates, control: they change nothing"),
    ({"uses": "reprompt", "templates": ["Be short."]}, r"expected a text with \{question\} in it, got 'Be short.'"),
    ({"uses": "retext", "rules": [{"pattern": "a", "to": "\\1"}]}, r"to: invalid group reference 1 .* expected groups"),
    ({"uses": "shorten"}, "'drop'.* 'shortest'"),
]


@pytest.mark.parametrize(("config", "said"), BAD, ids=lambda value: str(value)[:40])
def test_bad_settings_are_refused(config: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        made(config, [])
