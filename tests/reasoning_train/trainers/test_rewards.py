"""Rewards of groups, against numbers worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from data_gen.engines.base import Sampling
from data_gen.errors import UserError
from data_gen.format import Format, StepCodec
from data_gen.records.scales import Scale
from data_gen.records.verdict import Verdict
from data_gen.tasks.chain import Chain
from data_gen.verifiers.heads import HeadConfig
from reasoning_train.trainers.rl.rewards import Rewards, kind_of, reward_scale, shaped
from tests.data_gen.verifiers.tiny import verifier, words
from tests.reasoning_train.bench import problem

RIGHT, WRONG, UNKNOWN = Verdict.CORRECT, Verdict.WRONG, Verdict.UNVERIFIABLE
QUESTION = "Ana has 12 coins. How many has Ana?"


def rewards(*, n: int = 2, gold: tuple[str | None, ...] = ("12", None), **more: Any) -> Rewards:
    codec = StepCodec(Format(), words())
    problems = [problem(f"p{i}", QUESTION, each) for i, each in enumerate(gold)]
    return Rewards(problems, Chain(uses="chain"), codec, Sampling(max_tokens=8), n, **more)


def ids(made: Rewards, answer: str, *, end: bool = True) -> list[int]:
    tokens = made.codec.tokenizer(f"Answer: {answer}")["input_ids"]
    return [*tokens, made.codec.end_id] if end else tokens


def test_shaping_by_hand() -> None:
    assert shaped(True, 2.0) == pytest.approx(1 / (1 + math.exp(-1.0)))
    assert shaped(False, 2.0) == pytest.approx(1 / (1 + math.exp(-1.0)) - 1)
    assert shaped(True, -50.0) > shaped(False, 50.0)


@pytest.mark.parametrize(
    ("verdicts", "kind"),
    [
        ((RIGHT, WRONG), "mixed"),
        ((RIGHT, RIGHT), "all_right"),
        ((WRONG, UNKNOWN), "all_wrong"),
        ((RIGHT, WRONG, UNKNOWN), "mixed"),
        ((UNKNOWN, UNKNOWN), "unverifiable"),
    ],
)
def test_kinds_of_groups(verdicts: tuple[Verdict, ...], kind: str) -> None:
    assert kind_of(verdicts) == kind


def test_verdicts_are_the_reward_and_unverifiable_groups_have_none() -> None:
    made = rewards()
    completions = [ids(made, "12"), ids(made, "13"), ids(made, "12"), ids(made, "12")]
    assert made(completion_ids=completions, number=[0, 0, 1, 1]) == [1.0, 0.0, None, None]
    assert made.skipped == [False, False, True, True]
    assert made.counts == {
        "groups.mixed": 1,
        "groups.unverifiable": 1,
        "samples": 4,
        "samples.cut": 0,
        "samples.unverifiable": 2,
    }


@pytest.mark.parametrize("uniform", ["keep", "skip"])
def test_groups_of_one_verdict(uniform: Any) -> None:
    made = rewards(uniform_groups=uniform)
    assert made(completion_ids=[ids(made, "12")] * 2, number=[0, 0]) == [1.0, 1.0]
    assert made(completion_ids=[ids(made, "3")] * 2, number=[0, 0]) == [0.0, 0.0]
    assert made.skipped == [uniform == "skip"] * 2
    assert (made.counts["groups.all_right"], made.counts["groups.all_wrong"]) == (1, 1)


def test_a_cut_completion_is_wrong_though_it_names_the_answer() -> None:
    made = rewards(n=2, gold=("12",))
    cut = ([made.codec.tokenizer(" coins")["input_ids"][0]] * 8 + ids(made, "12", end=False))[-8:]
    assert made(completion_ids=[cut, ids(made, "12")], number=[0, 0]) == [0.0, 1.0]
    assert made.counts["samples.cut"] == 1


def test_a_verifier_adds_its_log_odds() -> None:
    """With a constant head of p = sigma(b): r_m = b."""
    import torch

    judge = verifier(HeadConfig(init_std=0.0))
    torch.nn.init.zeros_(judge.head.score.weight)
    torch.nn.init.constant_(judge.head.score.bias, 1.5)
    made = rewards(verifier=judge, gold=("12",))
    found = made(completion_ids=[ids(made, "12"), ids(made, "13")], number=[0, 0])
    assert found == pytest.approx([1 / (1 + math.exp(-0.75)), 1 / (1 + math.exp(-0.75)) - 1], abs=1e-5)
    assert made.counts["tokens.scored"] == 2 * (len(made.codec.prompt_ids(QUESTION)) + len(ids(made, "12")))


def test_scales_that_say_nothing_of_being_right_are_refused() -> None:
    assert [reward_scale(s) for s in (Scale.P, Scale.SIGNED, Scale.ODDS, Scale.RANKING)] == [Scale.ODDS] * 3 + [
        Scale.RANKING
    ]
    with pytest.raises(
        UserError,
        match=(
            "of scale 'progress', which does not say how likely a solution is right; a reward needs p, signed, "
            "odds or ranking"
        ),
    ):
        rewards(verifier=verifier(HeadConfig(scale=Scale.PROGRESS)))
