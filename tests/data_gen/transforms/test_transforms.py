"""Transforms by hand, and what holds for all of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from data_gen.errors import UserError
from data_gen.records.problem import Problem
from data_gen.records.segment import Segment
from data_gen.records.solution import Solution
from data_gen.transforms import TRANSFORMS
from data_gen.transforms.base import Transform, apply_all
from tests.reasoning_train.bench import problem, solution

ASKED = problem("p")


def worked(steps: int, *, sample: int = 0, answer: bool = True) -> Solution:
    """Steps of two tokens and an answer of one."""
    segments = [Segment(kind="step", text=f"step {i}\n", token_ids=(i, 50)) for i in range(steps)]
    segments += [Segment(kind="answer", text="Answer: 12", token_ids=(60,))] * answer
    more: dict[str, Any] = {"logprobs": (-0.5,) * (2 * steps + answer), "steps_ok": True, "group": "p"}
    more |= {
        "teacher_ids": ((1, 2),) * (2 * steps + answer),
        "teacher_logprobs": ((-1.0, -2.0),) * (2 * steps + answer),
    }
    return solution("p", "", sample=sample, **more | {"segments": tuple(segments)})


def made(config: Any, rows: Sequence[Solution], seed: int = 0) -> list[Solution]:
    transform: Transform = TypeAdapter(TRANSFORMS.union()).validate_python(config)
    return list(transform(ASKED, rows, random.Random(seed)))


def test_the_last_steps_stay_before_the_answer() -> None:
    [one] = made({"uses": "keep_last", "n": 2}, [worked(4)])
    assert one.text == "step 2\nstep 3\nAnswer: 12"
    assert one.token_ids == (2, 50, 3, 50, 60)
    assert (one.logprobs, one.steps_ok, one.verdict) == ((), None, "correct")
    assert (one.teacher_ids, one.teacher_logprobs) == ((), ())


def test_answers_alone() -> None:
    assert [row.text for row in made({"uses": "keep_last", "n": 0}, [worked(3), worked(1)])] == ["Answer: 12"] * 2


def test_a_row_that_is_short_already_stays_as_it_is() -> None:
    row = worked(2)
    assert made({"uses": "keep_last", "n": 2}, [row]) == [row]


def test_weights_by_kind() -> None:
    [one] = made({"uses": "reweight", "weights": {"step": 0.25}}, [worked(2)])
    assert [segment.weight for segment in one.segments] == [0.25, 0.25, 1.0]
    assert one.trained_tokens == 2.0
    assert one.logprobs and one.steps_ok  # what was said of texts and ids still holds


def test_the_shortest_by_tokens_then_in_order() -> None:
    rows = [worked(3), worked(1, sample=1), worked(2, sample=2), worked(1, sample=3)]
    assert [row.sample for row in made({"uses": "shortest", "n": 3}, rows)] == [1, 2, 3]
    assert [row.sample for row in made("shortest", rows)] == [1]


def test_steps_are_dropped_with_their_probability() -> None:
    """10,000 steps, a share of 0.3: within 4.5 standard deviations."""
    [one] = made({"uses": "drop_steps", "share": 0.3}, [worked(10_000)])
    dropped = 10_001 - len(one.segments)
    assert abs(dropped - 3000) < 4.5 * (10_000 * 0.3 * 0.7) ** 0.5
    assert one.segments[-1].kind == "answer"
    assert list(one.token_ids[:-1:2]) == sorted(one.token_ids[:-1:2])
    assert made({"uses": "drop_steps", "share": 1}, [worked(5)])[0].text == "Answer: 12"


@pytest.mark.parametrize(
    "config",
    [
        {"uses": "reweight", "weights": {}},
        {"uses": "reweight", "weights": {"setp": 1}},
        {"uses": "reweight", "weights": {"step": -1}},
        {"uses": "drop_steps", "share": 0},
        {"uses": "keep_last", "n": -1},
        {"uses": "shorten"},
    ],
)
def test_bad_settings_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        made(config, [])


CONFIGS = {"reweight": {"uses": "reweight", "weights": {"step": 0.5}}}


@pytest.mark.parametrize("name", TRANSFORMS.names())
@given(lengths=st.lists(st.integers(0, 6), max_size=5), seed=st.integers(0, 3))
def test_every_transform_is_a_pure_function_that_keeps_the_problem(name: str, lengths: list[int], seed: int) -> None:
    rows = [worked(n, sample=i) for i, n in enumerate(lengths)]
    before = tuple(rows)
    config = CONFIGS.get(name, name)
    first, again = made(config, rows, seed), made(config, rows, seed)
    assert first == again
    assert tuple(rows) == before
    assert all((row.problem_id, row.group, row.answer) == ("p", "p", "12") for row in first)


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
