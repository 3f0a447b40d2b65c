"""What a program may ask, what it may not know, and how its rows tell what it cost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import pytest

from data_gen.engines.base import DuplicatePath, Sampling
from data_gen.engines.programs import run_programs
from data_gen.engines.scripted import ScriptedEngine
from data_gen.errors import UserError
from data_gen.extractors.regex import Regex
from data_gen.format import Format, StepCodec, TaskFormat
from data_gen.programs import BareProblem, PromptProgram
from data_gen.programs.kit import Kit
from data_gen.programs.solve import Solve, solve
from data_gen.records.calls import Charge, Turn
from data_gen.records.solution import Solution
from data_gen.search.votes.majority import Majority
from data_gen.transforms.base import asked
from tests.data_gen.programs.talk import CODEC, PROBLEM, QUESTION, RIGHT, TASK, TOKENIZER, WORSE, WRONG, Talk, run


class Doing(PromptProgram):
    """A program by a function."""

    uses: Literal["t_doing"] = "t_doing"
    does: Any = None

    async def solve(self, problem: BareProblem, kit: Kit) -> list[Solution]:
        found: list[Solution] = await self.does(problem, kit)
        return found


def test_solve_gives_the_rows_that_the_function_gives() -> None:
    problems = [replace(PROBLEM, id=f"p{k}") for k in range(3)]

    def odd(prefix: tuple[int, ...], seed: int) -> list[int]:
        text = f"12 + 8 = {seed % 7}\nAnswer: {seed % 7}"
        return [*TOKENIZER(text, add_special_tokens=False)["input_ids"], TOKENIZER.eos_token_id]

    talk = Talk(lambda prompt: RIGHT)
    talk.engine._script = odd
    how = Sampling(max_tokens=60)
    expected = dict(
        run_programs(
            talk.engine,
            problems,
            lambda p, lm: solve(p, lm, 4, how, CODEC, TASK),
            seed=3,
            key=lambda p: p.id,
            in_flight=3,
        )
    )
    found = run(Solve(), talk, problems=problems, n=4, seed=3)
    for (problem, rows), runs in zip(sorted(expected.items(), key=lambda item: item[0].id), found, strict=True):
        assert rows == [row for one in runs for row in one.rows], problem
    assert len({row.answer for runs in found for one in runs for row in one.rows}) > 1


@pytest.mark.parametrize("field", ["gold", "gold_steps", "more_steps", "payload"])
def test_no_program_sees_gold(field: str) -> None:
    async def looks(problem: BareProblem, kit: Kit) -> list[Solution]:
        getattr(problem, field)
        return []

    with pytest.raises(UserError, match=f"problem 'p' was asked for '{field}'. A program gets no gold"):
        run(Doing(does=looks), Talk([RIGHT]))


def test_no_gold_reaches_votes_and_scorers_of_a_program() -> None:
    seen: list[Any] = []

    async def votes(problem: BareProblem, kit: Kit) -> list[Solution]:
        rows = [kit.solution(reply) for reply in await kit.ask(None, 2)]
        seen.append(kit.classes.args[0])  # type: ignore[attr-defined]
        assert all((row.verdict, row.reason, row.score) == ("unverifiable", "", None) for row in rows)
        return rows

    [[done]] = run(Doing(does=votes), Talk([RIGHT, WRONG]))
    assert (seen[0].gold, seen[0].gold_steps, seen[0].payload) == (None, (), "")
    assert [row.verdict for row in done.rows] == ["correct", "wrong"]


def test_a_template_is_filled_in_one_pass_and_told_in_the_row() -> None:
    async def asks(problem: BareProblem, kit: Kit) -> list[Solution]:
        [reply] = await kit.ask("{asked}\n{draft}\nCheck it", draft="{question}")
        return [kit.solution(reply)]

    talk = Talk([RIGHT])
    [[done]] = run(Doing(does=asks), talk)
    [row] = done.rows
    text = f"{QUESTION}\n{{question}}\nCheck it"
    assert row.asked == (Turn("user", text),) and row.prompt == text + "\n"
    assert list(row.prompt_ids) == CODEC.turns_ids(row.asked) == CODEC.ids_to_answer(text)
    assert Solution.from_row(row.to_row()) == row


def test_a_part_without_a_place_is_refused() -> None:
    async def asks(problem: BareProblem, kit: Kit) -> list[Solution]:
        await kit.ask("{question}", draft="x")
        return []

    with pytest.raises(UserError, match=r"no template has a place \{draft\}"):
        run(Doing(does=asks), Talk([RIGHT]))


def test_a_role_that_the_stage_does_not_name_is_refused() -> None:
    async def asks(problem: BareProblem, kit: Kit) -> list[Solution]:
        await kit.ask("{question}", role="juge")
        return []

    with pytest.raises(UserError, match=r"models: the program asks a model 'juge'.*Did you mean 'judge'"):
        run(Doing(does=asks), Talk([RIGHT]), others={"judge": Talk([RIGHT])})


def test_one_place_takes_one_request() -> None:
    async def asks(problem: BareProblem, kit: Kit) -> list[Solution]:
        await kit.ask()
        await kit.ask()
        return []

    with pytest.raises(DuplicatePath, match="was used for an earlier generate"):
        run(Doing(does=asks), Talk([RIGHT, RIGHT]))


def test_turns_are_written_as_the_plain_format_writes_examples() -> None:
    turns = [Turn("system", "Check"), Turn("user", "A?"), Turn("assistant", "12\n"), Turn("user", "B?")]
    assert CODEC.turns_text(turns) == "Check\n\nA?\n12\n\nB?\n"
    assert CODEC.turns_text([*turns, Turn("assistant", "Answer: ")]) == "Check\n\nA?\n12\n\nB?\nAnswer: "
    shown = TaskFormat(examples=({"question": "A?", "solution": "12"},))  # type: ignore[arg-type]
    assert StepCodec(Format(task=shown), TOKENIZER).prompt_text("B?") == CODEC.turns_text(turns[1:])


@pytest.mark.parametrize(
    "roles", [[], ["assistant"], ["user", "user"], ["user", "system"], ["system"], ["system", "assistant"]]
)
def test_roles_alternate(roles: Sequence[str]) -> None:
    with pytest.raises(UserError, match="expected user and assistant in turns"):
        CODEC.turns_ids([Turn(role, "A") for role in roles])


def test_what_a_model_writes_behind_the_end_of_a_reply_is_charged() -> None:
    async def asks(problem: BareProblem, kit: Kit) -> list[Solution]:
        [reply] = await kit.at("draft").ask()
        return [kit.solution(reply)]

    ids = TOKENIZER("Answer: 20", add_special_tokens=False)["input_ids"]
    engine = ScriptedEngine(lambda prefix, seed: [*ids, TOKENIZER.eos_token_id, *ids])
    [[done]] = run(Doing(does=asks), Talk([]), engine=engine)
    assert len(done.rows[0].token_ids) == len(ids) + 1
    assert done.charge().generated == engine.usage.generated_tokens == 2 * len(ids) + 1


def test_the_rows_of_a_run_sum_up_to_its_cost_and_hold_its_conversation() -> None:
    async def asks(problem: BareProblem, kit: Kit) -> list[Solution]:
        [draft] = await kit.at("draft").ask()
        first = kit.solution(draft)
        replies = await kit.at("judge").ask("{question}\nCheck it", 2, role="judge")
        [other] = await kit.at("other").ask("{question}\nMend it")
        second = kit.solution(other)
        await kit.at("late").ask("{question}\nCheck it", role="judge")
        assert [reply.said for reply in replies] == ["yes", "no"]
        return [first, second]

    policy, judge = Talk([WRONG, RIGHT]), Talk(["yes", "no", "yes"])
    [[done]] = run(Doing(does=asks), policy, others={"judge": judge}, keep=True)
    first, second = done.rows
    own = len(first.token_ids)
    assert first.charges == (Charge(role="policy", requests=1, calls=1, generated=own, read=len(first.prompt_ids)),)
    read = len(CODEC.ids_to_answer(f"{QUESTION}\nCheck it"))
    assert second.charges == (
        Charge(role="judge", requests=2, calls=3, generated=6, read=2 * read),
        Charge(role="policy", requests=1, calls=1, generated=len(second.token_ids), read=len(second.prompt_ids)),
    )
    for role, usage in (("judge", judge.engine.usage), ("policy", policy.engine.usage)):
        charges = [one for row in done.rows for one in row.charges if one.role == role]
        assert sum(one.generated for one in charges) == usage.generated_tokens
        assert sum(one.read for one in charges) == usage.prompt_tokens
        assert sum(one.calls for one in charges) == usage.samples
        assert sum(one.requests for one in charges) == usage.requests
    assert [(call.role, call.path, call.replies) for row in done.rows for call in row.conversation] == [
        ("policy", "run/0/draft", (WRONG,)),
        ("judge", "run/0/judge", ("yes", "no")),
        ("policy", "run/0/other", (RIGHT,)),
        ("judge", "run/0/late", ("yes",)),
    ]
    assert Solution.from_row(second.to_row()) == second


def test_the_account_does_not_depend_on_which_request_is_answered_first() -> None:
    async def asks(problem: BareProblem, kit: Kit) -> list[Solution]:
        async def one(i: int) -> Any:
            await asyncio.sleep((3 - i) / 100)
            return (await kit.at("branch", i).ask("{question}\nCheck it"))[0]

        replies = await asyncio.gather(*map(one, range(3)))
        return [kit.solution(replies[0])]

    [[done]] = run(Doing(does=asks), Talk(lambda prompt: RIGHT), keep=True)
    assert [call.path for call in done.rows[0].conversation] == [f"run/0/branch/{i}" for i in range(3)]


def test_what_cannot_be_read_is_noted_in_the_row_and_asked_again() -> None:
    async def asks(problem: BareProblem, kit: Kit) -> list[Solution]:
        way = Regex(pattern="(yes|no)")
        found, reply = await kit.ask_for(way, "verdict", "{question}\nCheck it", tries=3)
        lost, _ = await kit.ask_for(way, "second", "{question}\nCheck it", tries=2)
        [cut] = await kit.at("cut").ask("{question}\nMend it", max_tokens=1)
        assert (found, reply.said, lost, kit.read(cut, way, "cut")) == ("yes", "yes", None, None)
        return [kit.solution(reply)]

    talk = Talk(["Wrong", "yes", "Wrong", "Wrong", "yes it"])
    [[done]] = run(Doing(does=asks), talk)
    assert len(talk.prompts) == 5
    assert set(done.rows[0].notes) == {"unread.second", "unread.cut"}
    assert done.rows[0].charges[0].calls == 5


def test_a_prompt_that_fills_the_context_ends_in_a_row_that_says_so() -> None:
    async def asks(problem: BareProblem, kit: Kit) -> list[Solution]:
        [reply] = await kit.ask("{question}\n{more}", more="Ana " * 50)
        assert (reply.finish, reply.said, reply.whole) == ("no_room", "", False)
        return [kit.solution(reply)]

    talk = Talk([RIGHT])
    [[done]] = run(Doing(does=asks), talk, context=40)
    [row] = done.rows
    assert (row.finish, row.answer, row.verdict, row.notes) == ("length", None, "wrong", ("no_room",))
    assert talk.prompts == [] and row.charges == (Charge(role="policy"),)


def test_votes_group_by_meaning_and_tell_nothing_without_answers() -> None:
    elected: list[int | None] = []

    async def votes(problem: BareProblem, kit: Kit) -> list[Solution]:
        rows = [kit.solution(reply) for reply in await kit.ask(None, 4)]
        elected.extend([kit.vote(rows, Majority()), kit.vote(rows[3:], Majority())])
        return rows

    run(Doing(does=votes), Talk(["Answer: 21", "Answer: 20", "Answer: 020", "Wrong"]))
    assert elected[0] in (1, 2) and elected[1] is None


def test_a_run_without_rows_is_refused() -> None:
    async def nothing(problem: BareProblem, kit: Kit) -> list[Solution]:
        return []

    with pytest.raises(UserError, match="run 0 on problem 'p' made no row; expected at least one"):
        run(Doing(does=nothing), Talk([RIGHT]))


def test_likelihoods_are_sums_over_the_tokens_of_each_option() -> None:
    found: list[float] = []

    async def weighs(problem: BareProblem, kit: Kit) -> list[Solution]:
        found.extend(await kit.at("options").likelihoods("{question}\nCheck it", ["yes", "No error"]))
        return [kit.solution(reply) for reply in await kit.ask()]

    talk = Talk([WORSE])
    [[done]] = run(Doing(does=weighs), talk)
    assert found[0] * 2 == pytest.approx(found[1])
    read = len(CODEC.ids_to_answer(f"{QUESTION}\nCheck it"))
    assert done.rows[0].charges[0].scored == read + 3 and talk.engine.usage.scored_tokens == 3


def test_a_reworded_row_answers_its_question_and_no_longer_the_conversation() -> None:
    async def asks(problem: BareProblem, kit: Kit) -> list[Solution]:
        return [kit.solution(reply) for reply in await kit.ask("{question}\nCheck it")]

    [[done]] = run(Doing(does=asks), Talk([RIGHT]))
    again = asked(done.rows[0], "How many has Ben?")
    assert (again.question, again.prompt, again.asked, again.prompt_ids) == ("How many has Ben?",) * 2 + ((), ())
    assert again.segments == done.rows[0].segments
