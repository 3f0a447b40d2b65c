"""An LM asked for the first wrong step, played by a script: what it is asked, what is read off its verdict, what it
costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from data_gen.engines.base import LM
from data_gen.engines.scripted import ScriptedEngine
from data_gen.errors import UserError
from data_gen.format import Format, StepCodec
from data_gen.records.prefix import Prefix
from data_gen.scorers import GrantedGold, Score, Tools
from data_gen.scorers.step_judge import StepJudge, read_verdict
from tests.data_gen.scorers.prefixes import prefix, problem, run, whole
from tests.data_gen.search.toy import ToyTask
from tests.data_gen.test_format import bpe

CODEC = StepCodec(Format(), bpe())
STEPS = ("12 + 5 = 17", "17 - 3 = 15", "15 + 1 = 16")


def judged(
    prefixes: Sequence[Prefix], answers: str | dict[int, str], **config: Any
) -> tuple[list[Score], list[str], Counter[str]]:
    """(scores, questions asked, counts); `answers` by the last bit of the request's seed where there are several."""
    asked: list[str] = []
    counts: Counter[str] = Counter()

    def script(ids: tuple[int, ...], seed: int) -> list[int]:
        asked.append(CODEC.decode(ids))
        text = answers if isinstance(answers, str) else answers[seed % len(answers)]
        return [*bpe()(text, add_special_tokens=False)["input_ids"], CODEC.end_id]

    tools = Tools(
        codec=CODEC, policy_hash="abc", gold=GrantedGold(ToyTask(), CODEC), count=lambda name: counts.update([name])
    )
    scorer = StepJudge(**config).open(tools)
    engine = ScriptedEngine(script)
    return run(lambda: scorer(prefixes, LM(engine, 0, ("p", "score", 1)))), asked, counts


def test_one_question_tells_of_every_step_of_a_solution() -> None:
    path = [prefix(CODEC, *STEPS[:i]) for i in range(4)] + [whole(CODEC, *STEPS, answer="16")]
    scores, asked, _ = judged(path, "The first wrong step is 2.")
    assert [score.value for score in scores] == [1.0, 1.0, 0.0, 0.0, 0.0]
    [question] = asked
    assert "1. 12 + 5 = 17\n2. 17 - 3 = 15\n3. 15 + 1 = 16\n4. Answer: 16" in question
    assert question.startswith("Ana has 12 coins.")
    charged = [score.tokens for score in scores]
    assert sum(tokens > 0 for tokens in charged) == 1
    assert (
        sum(charged)
        == len(CODEC.ids_to_answer(question.strip("\n"))) + len(bpe()("The first wrong step is 2.")["input_ids"]) + 1
    )


def test_solutions_that_part_are_asked_about_one_by_one() -> None:
    both = [prefix(CODEC, STEPS[0]), prefix(CODEC, *STEPS[:2]), prefix(CODEC, STEPS[0], STEPS[2])]
    scores, asked, _ = judged(both, "none")
    assert len(asked) == 2 and [score.value for score in scores] == [1.0, 1.0, 1.0]


def test_several_verdicts_are_a_share_and_unreadable_ones_are_left_out() -> None:
    scores, _, counts = judged([prefix(CODEC, *STEPS)], {0: "none", 1: "hm"}, samples=40, temperature=1.0)
    assert scores[0].value == 1.0
    assert 0 < counts["scorer.unreadable_verdicts"] < 40
    scores, _, _ = judged([prefix(CODEC, *STEPS)], {0: "none", 1: "3"}, samples=40, temperature=1.0)
    assert 0.2 < scores[0].value < 0.8


def test_no_verdict_at_all_is_an_even_chance() -> None:
    scores, _, counts = judged([prefix(CODEC, *STEPS)], "I cannot say")
    assert (scores[0].value, counts["scorer.unreadable_verdicts"]) == (0.5, 1)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("3", 3),
        ("Step 2", 2),
        ("NONE.", 5),
        ("1 is right, 2 is right, so none", 5),
        ("none before step 4", 4),
        ("0", None),
        ("5", None),
        ("", None),
    ],
)
def test_reading_verdicts(text: str, verdict: int | None) -> None:
    assert read_verdict(text, 4) == verdict


def test_gold_is_shown_where_it_is_granted() -> None:
    of = problem(gold="16", gold_steps=("12 + 4 = 16",))
    _, [question], _ = judged([whole(CODEC, STEPS[0], of=of)], "none", show_gold=True)
    assert "A correct solution:\n12 + 4 = 16\nAnswer: 16\n" in question
    with pytest.raises(UserError, match="scorer.step_judge with show_gold needs gold answers"):
        StepJudge(show_gold=True).open(Tools(codec=CODEC))
    with pytest.raises(UserError, match="scorer.step_judge with show_gold: problem 'p' has no gold answer"):
        judged([prefix(CODEC, STEPS[0], of=problem(gold=None))], "none", show_gold=True)


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="3 greedy verdicts are all the same"):
        StepJudge(samples=3)
    with pytest.raises(ValueError, match="template must hold {question}, {solution} and no {gold} without show_gold"):
        StepJudge(template="{question} {gold}")


def test_a_question_longer_than_the_context_is_refused() -> None:
    scorer = StepJudge().open(Tools(codec=CODEC, context=50))
    with pytest.raises(UserError, match="about a solution of problem 'p' has .* more than the policy's context of 50"):
        run(lambda: scorer([prefix(CODEC, *STEPS)], LM(ScriptedEngine({}), 0, ("p",))))
