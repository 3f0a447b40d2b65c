"""Sequential revision by its call graph: what each attempt sees, how the answer is elected, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from pydantic import ValidationError

from data_gen.engines.base import LM
from data_gen.programs.revise import Revise
from data_gen.programs.running import FinishedRun
from data_gen.records.prefix import Prefix
from data_gen.records.scales import Scale
from data_gen.scorers.base import Score
from tests.data_gen.programs.talk import CODEC, PROBLEM, QUESTION, RIGHT, WORSE, WRONG, Talk, run

OTHER = "12 + 8 = 23\nAnswer: 23"


def revise(**fields: object) -> Revise:
    return Revise.model_validate({"template": "{asked}\n{attempts}\n", **fields})


def shown(prompt: str) -> list[str]:
    """The attempts that a prompt shows."""
    attempts = prompt.removeprefix(f"{QUESTION}\n").strip()
    return attempts.split("\n\n") if attempts else []


def test_every_attempt_sees_the_last_ones_of_its_chain() -> None:
    policy = Talk([WORSE, WRONG, OTHER, RIGHT])
    [[done]] = run(revise(keep=2), policy)
    assert [shown(prompt) for prompt in policy.prompts] == [[], [WORSE], [WORSE, WRONG], [WRONG, OTHER]]
    assert policy.prompts[0] == f"{QUESTION}\n" and policy.prompts[1] == f"{QUESTION}\n{WORSE}\n\n"
    assert [(row.chain, row.turn, row.answer) for row in done.rows] == [
        (0, 0, "22"),
        (0, 1, "21"),
        (0, 2, "23"),
        (0, 3, "20"),
    ]
    for row in done.rows[1:]:
        assert list(row.prompt_ids) == CODEC.turns_ids(row.asked)
    assert list(done.rows[0].prompt_ids) == CODEC.prompt_ids(QUESTION) and done.rows[0].asked == ()


def test_without_memory_every_attempt_sees_the_question_alone() -> None:
    policy = Talk([WORSE, WRONG, RIGHT])
    [[done]] = run(revise(keep=0, turns=3), policy)
    assert policy.prompts == [f"{QUESTION}\n"] * 3 and [row.asked for row in done.rows] == [()] * 3


def test_chains_do_not_see_each_other_and_the_majority_of_all_attempts_answers() -> None:
    def grows(prompt: str) -> str:
        return [RIGHT, WRONG, RIGHT][len(shown(prompt))] if "21" not in prompt else RIGHT

    policy = Talk(grows)
    [[done]] = run(revise(chains=2, turns=3), policy)
    assert [(row.chain, row.turn) for row in done.rows] == [(c, t) for c in range(2) for t in range(3)]
    assert all(len(shown(prompt)) <= 2 for prompt in policy.prompts) and len(policy.prompts) == 6
    assert done.shown(None).answer == "20" and sum(row.chosen or False for row in done.rows) == 1
    assert done.charge().calls == 6 and policy.engine.usage.requests == 5


def test_what_fewer_turns_would_have_answered_and_cost() -> None:
    policy = Talk([WORSE, RIGHT, RIGHT])
    program = revise(turns=3)
    [[done]] = run(program, policy)
    assert list(program.stops) == [1, 2]
    assert done.shown(1).answer == "22" and done.shown(None).answer == "20"
    assert done.shown(2).answer in ("22", "20")  # a tie
    assert [done.charge(k).calls for k in (1, 2, None)] == [1, 2, 3]
    rows = done.rows
    assert done.charge(2).read == len(rows[0].prompt_ids) + len(rows[1].prompt_ids)
    assert done.charge(2).generated == len(rows[0].token_ids) + len(rows[1].token_ids)


def test_flips_are_counted_along_chains() -> None:
    [[done]] = run(revise(turns=4), Talk([RIGHT, WRONG, RIGHT, RIGHT]))
    expected = {"last": 1.0, "wrong_to_right": 1.0, "right_to_wrong": 1.0, "right_revised": 2.0}
    assert revise().measure(done.rows) == expected
    assert revise().measure(done.upto(1)) == {**dict.fromkeys(expected, 0.0), "last": 1.0}


class ByAnswer:
    """Scores by the answer, charges three tokens, and notes what it was asked about."""

    name, scale = "by answer", Scale.P

    def __init__(self, **values: float) -> None:
        self.values, self.seen = values, list[Prefix]()

    async def __call__(self, prefixes: Sequence[Prefix], lm: LM) -> list[Score]:
        self.seen += prefixes
        return [Score(self.values[f"a{prefix.answer}"], tokens=3) for prefix in prefixes]


def answer(done: FinishedRun) -> str | None:
    return done.shown(None).answer


def test_a_verifier_elects_and_reads_every_attempt_behind_the_question_alone() -> None:
    verifier = ByAnswer(a22=0.1, a21=0.2, a20=0.9)
    program = revise(turns=3, scored=True, vote="argmax")
    [[done]] = run(program, Talk([WORSE, RIGHT, WRONG]), scorer=verifier)
    assert answer(done) == "20" and [row.value for row in done.rows] == [0.1, 0.9, 0.2]
    assert {prefix.prompt_ids for prefix in verifier.seen} == {tuple(CODEC.prompt_ids(QUESTION))}
    assert all(prefix.problem.gold is None for prefix in verifier.seen)
    assert [done.charge(k).scored for k in (1, 2, None)] == [3, 6, 9]


@pytest.mark.parametrize(("by_chain", "expected"), [(False, "21"), (True, "22")])
def test_election_within_chains_first(by_chain: bool, expected: str) -> None:
    """20, 20, 20, 21 and 21, 22, 22, 22: the sums of all are 1.5, 1.8 and 1.65; the chains elect 20 and 22."""
    said = {RIGHT: [RIGHT, RIGHT, RIGHT, WRONG], WRONG: [WRONG, WORSE, WORSE, WORSE]}

    def speaks(prompt: str) -> str:
        before = shown(prompt)
        return said[before[0]][len(before)] if before else [RIGHT, WRONG][len(policy.prompts) - 1]

    policy = Talk(speaks)
    program = revise(chains=2, scored=True, vote="weighted", by_chain=by_chain)
    [[done]] = run(program, policy, scorer=ByAnswer(a20=0.5, a21=0.9, a22=0.55))
    assert answer(done) == expected


def test_attempts_without_an_answer_do_not_vote_and_the_last_stands_if_none_has_one() -> None:
    [[some]] = run(revise(turns=3), Talk([RIGHT, "12 + 8 = 20", "12 + 8 = 20"]))
    assert answer(some) == "20"
    [[none]] = run(revise(turns=2), Talk(["12 + 8 = 20", "20 + 1 = 21"]))
    assert none.answer == 1 and none.shown(None).verdict == "wrong"


def test_problems_beside_it_change_nothing() -> None:
    from dataclasses import replace

    def answers(prompt: str) -> str:
        return [WORSE, WRONG, RIGHT][len(shown(prompt))]

    others = [replace(PROBLEM, id=f"q{k}") for k in range(3)]
    alone = run(revise(turns=3, chains=2), Talk(answers), n=2)
    among = run(revise(turns=3, chains=2), Talk(answers), n=2, problems=[others[0], PROBLEM, *others[1:]])
    assert [one.rows for one in alone[0]] == [one.rows for one in among[1]]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"template": "{asked}"}, r"template must hold \{attempts\}"),
        ({"turns": 0}, "greater than or equal to 1"),
        ({"keep": -1}, "greater than or equal to 0"),
        ({"vote": {"uses": "top_k", "k": 2}}, "vote: 'top_k' reads measures of solutions, which no program gets"),
        ({"vote": "argmax"}, "vote: 'argmax' reads scores; say `scored: true` and name a `scorer`"),
        ({"vote": {"uses": "gated", "bar": 0.5, "otherwise": "weighted"}}, "vote: 'gated' reads scores; say"),
        ({"vote": {"uses": "argmax", "score": "min"}, "scored": True}, "vote: 'argmax' reads the values of steps"),
        (
            {"vote": {"uses": "first_accepted", "bar": 0.5}, "scored": True},
            "vote: 'first_accepted' may abstain, but every run has an answer",
        ),
    ],
)
def test_what_cannot_run_is_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        revise(**fields)
