"""Scorers that ask the policy itself: `self_evaluation`, `likelihood`, `joint`, `constant`."""

from __future__ import annotations

import copy
import dataclasses
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from data_gen.checkpoints import save_format
from data_gen.engines.base import LM
from data_gen.engines.local.engine import TransformersEngine
from data_gen.errors import UserError
from data_gen.format import Format, ModelFormat, StepCodec, TaskFormat
from data_gen.records.prefix import Prefix
from data_gen.records.scales import Scale
from data_gen.scorers import SCORERS, GrantedGold, Score, Scorer, Tools
from data_gen.scorers.self_evaluation import SelfEvaluation
from data_gen.verifiers.heads import HeadConfig
from tests.data_gen.scorers.prefixes import NOBODY, prefix, problem, run, score, whole
from tests.data_gen.search.toy import ToyTask
from tests.data_gen.test_format import CHAT, bpe
from tests.data_gen.verifiers.tiny import config

CODEC = StepCodec(Format(), bpe())
STEPS = ("Ben: 12 + 5 = 17", "Ben: 17 - 3 = 14")


@cache
def model() -> Any:
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config(tokenizer=bpe(), pad_token_id=0, max_position_embeddings=512)).eval()


def opened(uses: str, *, codec: StepCodec = CODEC, **options: Any) -> Scorer:
    tools = {name: options.pop(name) for name in ("gold", "policy_head", "context", "verifier") if name in options}
    return (
        SCORERS.get(uses).model_validate({"uses": uses, **options}).open(Tools(codec=codec, policy_hash="abc", **tools))
    )


def asked_of_policy(scorer: Scorer, *prefixes: Prefix) -> list[Score]:
    engine = TransformersEngine(model(), bpe(), end_ids=[bpe().eos_token_id])
    return run(lambda: scorer(prefixes, LM(engine, 0, ("p", "score", 1))))


@torch.no_grad()
def logprobs(ids: list[int]) -> torch.Tensor:
    """log p of each id but the first."""
    rows = model()(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
    return rows[:-1].gather(-1, torch.tensor(ids[1:])[:, None])[:, 0]


def test_self_evaluation_by_hand() -> None:
    template = "Q {question} S {solution} ok?"
    scorer = opened("self_evaluation", template=template, lead="It is ", options=("yes", "no"))
    [found] = asked_of_policy(scorer, prefix(CODEC, *STEPS))
    start = f"Q Ana has 12 coins. S {STEPS[0]}\n{STEPS[1]} ok?\n"
    totals, lengths = [], []
    for option in ("yes", "no"):
        ids = [*bpe()(start)["input_ids"], *bpe()(f"It is {option}")["input_ids"]]
        totals.append(logprobs(ids)[len(bpe()(start)["input_ids"]) - 1 :].sum())
        lengths.append(len(ids))
    assert found.value == pytest.approx(torch.stack(totals).softmax(0)[0].item(), abs=1e-5)
    shared = len(bpe()(start)["input_ids"]) + len(bpe()("It is ")["input_ids"])
    assert found.tokens == shared + sum(length - shared for length in lengths)
    assert scorer.scale is Scale.P and scorer.name == "self_evaluation:abc"


def test_the_options_change_places() -> None:
    asked = [prefix(CODEC), prefix(CODEC, *STEPS), whole(CODEC, *STEPS)]
    one, other = (
        asked_of_policy(opened("self_evaluation", options=options), *asked) for options in (("A", "B"), ("B", "A"))
    )
    assert [a.value + b.value for a, b in zip(one, other, strict=True)] == pytest.approx([1.0] * 3, abs=1e-5)
    assert len({a.value for a in one}) == 3


def test_the_gold_solution_is_shown_where_gold_is_granted() -> None:
    seen: list[str] = []

    class Spy(StepCodec):
        def ids_to_answer(self, body: str) -> list[int]:
            seen.append(body)
            return super().ids_to_answer(body)

    spy = Spy(Format(), bpe())
    of = problem(question="How {solution} {gold}?", gold="17", gold_steps=("5 + 12 = 17",))
    scorer = opened("self_evaluation", codec=spy, show_gold=True, gold=GrantedGold(ToyTask(), CODEC))
    seen.clear()
    asked_of_policy(scorer, whole(CODEC, STEPS[0], of=of))
    [text] = seen
    assert "How {solution} {gold}?" in text and "5 + 12 = 17\nAnswer: 17" in text and f"{STEPS[0]}\nAnswer: 17" in text
    with pytest.raises(UserError, match="scorer.self_evaluation with show_gold needs gold answers"):
        opened("self_evaluation", show_gold=True)
    with pytest.raises(UserError, match="problem 'p' has no gold answer to show"):
        asked_of_policy(scorer, prefix(CODEC, of=problem(gold=None)))
    assert SelfEvaluation(show_gold=True).needs_gold and not SelfEvaluation().needs_gold


def test_the_question_stands_in_the_policys_chat_template() -> None:
    tokenizer = copy.deepcopy(bpe(bos=True))
    tokenizer.chat_template = CHAT
    codec = StepCodec(Format(model=ModelFormat(template="chat")), tokenizer)
    text = tokenizer.decode(codec.ids_to_answer("Is it right?"))
    assert re.sub(r"\s", "", text) == "<user>Isitright?<eos><assistant>"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"template": "Is {solution} right?"},
            "template must hold {question}, {solution} and no {gold} without show_gold",
        ),
        ({"template": "{question} {solution} {gold}"}, "no {gold} without show_gold"),
        (
            {"template": "{question} {solution}", "show_gold": True},
            "template must hold {question}, {solution} and {gold}",
        ),
        ({"options": ("A", "A")}, "options must be two different texts, got ['A', 'A']"),
        ({"options": ("A", "")}, "options must be two different texts"),
    ],
)
def test_questions_that_ask_nothing(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        SelfEvaluation(**options)


def test_options_that_do_not_part_are_refused() -> None:
    with pytest.raises(UserError, match="to this tokenizer one of 'x7' and 'x7 7' begins with the other"):
        opened("self_evaluation", lead="x", options=("7", "7 7"))


def test_a_question_longer_than_the_context_is_named() -> None:
    with pytest.raises(
        UserError, match=r"partial solution of problem 'p' has \d+ tokens, but the policy's context is 60"
    ):
        asked_of_policy(opened("self_evaluation", context=60), prefix(CODEC, *STEPS))


def test_likelihood_is_the_mean_log_prob() -> None:
    scorer, asked = opened("likelihood"), [prefix(CODEC, *STEPS), whole(CODEC, STEPS[0]), prefix(CODEC)]
    found = asked_of_policy(scorer, *asked)
    assert scorer.scale is Scale.RANKING
    for s, p in zip(found[:2], asked, strict=False):
        ids = [*p.prompt_ids, *p.token_ids]
        assert s.value == pytest.approx(logprobs(ids)[len(p.prompt_ids) - 1 :].mean().item(), abs=1e-5)
        assert s.tokens == len(ids)
    assert found[2] == Score(0.0)


def saved(folder: Path, fmt: Format | None = None) -> Path:
    """`model()` as a model folder."""
    model().save_pretrained(folder)
    bpe().save_pretrained(folder)
    save_format(fmt or Format(), folder)
    return folder


def test_likelihood_under_another_model(tmp_path: Path, one_thread: None) -> None:
    """Its own text: the prompt's suffix differs, and a whole solution ends with its end token, whether written or
    not."""
    own = Format(model=ModelFormat(plain_suffix=" ->\n"))
    scorer = opened("likelihood", verifier=saved(tmp_path, own))
    asked = [prefix(CODEC, *STEPS), prefix(CODEC), whole(CODEC, *STEPS, end=False), prefix(CODEC, STEPS[0])]
    found = run(lambda: scorer(asked, NOBODY))
    start = bpe()("Ana has 12 coins. ->\n")["input_ids"]
    for s, text, end in (
        (found[0], "".join(f"{x}\n" for x in STEPS), []),
        (found[2], "".join(f"{x}\n" for x in (*STEPS, "Answer: 17"))[:-1], [0]),
    ):
        ids = [*start, *bpe()(text)["input_ids"], *end]
        assert s.value == pytest.approx(logprobs(ids)[len(start) - 1 :].mean().item(), abs=1e-5) and s.tokens == len(
            ids
        )
    assert found[1] == Score(0.0)
    assert [run(lambda p=p: scorer([p], NOBODY))[0] for p in asked] == found
    fresh = opened("likelihood", verifier=tmp_path)
    assert run(lambda: fresh(asked[::-1], NOBODY)) == found[::-1]


def test_a_model_that_cannot_judge_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the verifier has answer_mark='So: ', the policy has answer_mark='Answer: '"):
        opened("likelihood", verifier=saved(tmp_path, Format(task=TaskFormat(answer_mark="So: "))))
    scorer = opened("likelihood", verifier=saved(tmp_path))
    with pytest.raises(
        UserError, match=r"partial solution of problem 'p' has \d+ tokens, more than the verifier's context of 512"
    ):
        run(lambda: scorer([prefix(CODEC, *STEPS * 20)], NOBODY))


SIGNED = HeadConfig(activation="tanh", scale=Scale.SIGNED)


def test_a_joint_policy_values_itself() -> None:
    scorer = opened("joint", policy_head=SIGNED)
    asked = [dataclasses.replace(prefix(CODEC, *STEPS), value=-0.25), prefix(CODEC)]
    assert (
        score(scorer, asked) == [Score(-0.25), Score(0.0)]
        and scorer.scale is Scale.SIGNED
        and scorer.name == "joint:abc"
    )
    assert score(opened("joint", policy_head=HeadConfig()), [prefix(CODEC)]) == [Score(0.5)]


def test_joint_without_values_is_refused() -> None:
    with pytest.raises(UserError, match="the policy has no value head. Use a joint model, or scorer `head`"):
        opened("joint")
    with pytest.raises(UserError, match="scorer.joint has scale='p', the policy has scale='signed'"):
        opened("joint", policy_head=SIGNED, scale="p")
    with pytest.raises(UserError, match="the engine gave no value with the tokens that it drew for problem 'p'"):
        score(opened("joint", policy_head=SIGNED), [prefix(CODEC, *STEPS)])


def test_a_constant_is_constant() -> None:
    assert run(lambda: opened("constant", value=0.25)([prefix(CODEC), prefix(CODEC, "a")], NOBODY)) == [Score(0.25)] * 2
