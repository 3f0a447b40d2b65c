"""Self-refinement by its call graph: what is asked of whom, in which order, when it stops, and what it costs."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from data_gen.programs.self_refine import SelfRefine
from tests.data_gen.programs.talk import QUESTION, RIGHT, WORSE, WRONG, Talk, run

TINY = {"feedback": "{asked}\n{solution}\nCheck it", "refine": "{question}\n{solution}\n{feedback}\nMend it"}


def refine(**fields: object) -> SelfRefine:
    return SelfRefine.model_validate({**TINY, **fields})


def test_draft_feedback_refined_draft_until_nothing_is_wrong() -> None:
    policy = Talk([WORSE, "Wrong", WRONG, "Wrong it", RIGHT, "no error."])
    [[done]] = run(refine(rounds=5), policy)
    assert policy.prompts == [
        f"{QUESTION}\n",
        f"{QUESTION}\n{WORSE}\nCheck it\n",
        f"{QUESTION}\n{WORSE}\nWrong\nMend it\n",
        f"{QUESTION}\n{WRONG}\nCheck it\n",
        f"{QUESTION}\n{WRONG}\nWrong it\nMend it\n",
        f"{QUESTION}\n{RIGHT}\nCheck it\n",
    ]
    assert [(row.turn, row.answer, row.verdict, row.chosen) for row in done.rows] == [
        (0, "22", "wrong", False),
        (1, "21", "wrong", False),
        (2, "20", "correct", True),
    ]
    assert done.charge().calls == 6 and [row.charges[0].calls for row in done.rows] == [1, 2, 3]
    assert done.charge().generated == policy.engine.usage.generated_tokens
    assert done.charge().read == policy.engine.usage.prompt_tokens


def test_it_stops_after_its_rounds_even_if_something_is_still_wrong() -> None:
    policy = Talk([WORSE, "Wrong", WRONG])
    [[done]] = run(refine(rounds=1), policy)
    assert [row.answer for row in done.rows] == ["22", "21"] and len(policy.prompts) == 3


def test_a_draft_that_is_found_right_is_the_answer() -> None:
    policy = Talk([RIGHT, "No error"])
    [[done]] = run(refine(), policy)
    [row] = done.rows
    assert (row.chosen, row.verdict, row.notes, row.charges[0].calls) == (True, "correct", (), 2)


@pytest.mark.parametrize(("said", "limit"), [("", 60), ("Wrong Wrong Wrong Wrong Wrong Wrong Wrong", 4)])
def test_a_feedback_that_was_cut_or_is_empty_says_nothing(said: str, limit: int) -> None:
    policy = Talk(["Answer: 2" if limit < 60 else WRONG, said])
    [[done]] = run(refine(), policy, max_tokens=limit)
    assert [row.notes for row in done.rows] == [("unread.feedback",)] and len(policy.prompts) == 2


def test_another_model_may_be_the_critic_and_is_charged_apart() -> None:
    policy, critic = Talk([WRONG, RIGHT]), Talk(["Wrong", "No error"])
    program = refine(critic="judge", feedback_temperature=0)
    [[done]] = run(program, policy, others={"judge": critic})
    assert program.roles == ("judge",) and len(policy.prompts) == len(critic.prompts) == 2
    calls = [{one.role: one.calls for one in row.charges} for row in done.rows]
    assert calls == [{"policy": 1}, {"judge": 2, "policy": 1}] and done.charge().calls == 4


def test_what_it_would_have_answered_after_fewer_drafts_and_at_which_cost() -> None:
    policy = Talk([RIGHT, "Wrong", WRONG, "Wrong", WORSE])
    program = refine(rounds=2)
    [[done]] = run(program, policy)
    assert list(program.stops) == [1, 2] and program.most_calls == 5
    assert [done.shown(k).answer for k in (1, 2, None)] == ["20", "21", "22"]
    assert [done.charge(k).calls for k in (1, 2, None)] == [1, 3, 5]
    assert program.measure(done.rows) == {
        "last": 0.0,
        "wrong_to_right": 0.0,
        "right_to_wrong": 1.0,
        "right_revised": 1.0,
    }


def test_runs_are_independent_and_do_not_depend_on_their_number() -> None:
    def answers(prompt: str) -> str:
        return "Wrong" if "Check" in prompt else WRONG

    [three], [five] = (run(refine(rounds=1), Talk(answers), n=n) for n in (3, 5))
    assert [one.rows for one in three] == [one.rows for one in five[:3]]
    assert [row.run for one in five for row in one.rows] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"feedback": "{question}"}, r"feedback must hold \{solution\}"),
        ({"refine": "{solution} {feedback}"}, r"refine must hold \{question\} or \{asked\}"),
        ({"rounds": 0}, "greater than or equal to 1"),
        ({"stop_phrase": ""}, "at least 1 character"),
    ],
)
def test_templates_must_hold_what_they_are_about(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        refine(**fields)
