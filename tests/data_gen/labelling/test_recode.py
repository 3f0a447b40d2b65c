"""Labels cross to another tokenizer as step texts: read where the verifier will be read, or counted, or refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from data_gen.errors import UserError
from data_gen.format import Format, ModelFormat, StepCodec, TaskFormat
from data_gen.labelling.recode import Recoder
from data_gen.records.labels import StepPair, ValueTarget
from data_gen.verifiers.reading import PrefixReader
from tests.data_gen.scorers.prefixes import prefix, problem, whole
from tests.data_gen.test_format import bpe
from tests.data_gen.typed import typed
from tests.data_gen.verifiers.tiny import words

POLICY = StepCodec(Format(), words())
OWN = StepCodec(Format(model=ModelFormat(plain_suffix=" ->\n")), bpe())
MARKED = StepCodec(Format(model=ModelFormat(step_token="<bos>")), bpe())
STEPS = ("Ben: 12 + 5 = 17", "Cy: 17 - 3 = 14")


def row(*steps: str, answer: str = "", end: bool = True, root: bool = False) -> ValueTarget:
    """A path with a value at the end of every piece: 0.1, 0.2, ..."""
    pieces = [("step", f"{step}\n") for step in steps] + ([("answer", f"Answer: {answer}")] if answer else [])
    segments = POLICY.encode(typed(*pieces), end=bool(answer) and end)
    ids = tuple(t for s in segments for t in s.token_ids)
    ends = prefix(POLICY, *steps).ends if not answer else whole(POLICY, *steps, answer=answer, end=end).ends
    at = (-1,) * root + ends
    return ValueTarget(
        prompt="Ana has 12 coins.\n",
        completions=tuple(text for _, text in pieces),
        labels=(True,) * len(ends),
        problem_id="p",
        tree=0,
        source="mc",
        scale="p",
        prompt_ids=tuple(POLICY.prompt_ids("Ana has 12 coins.")),
        token_ids=ids,
        ends=ends,
        nodes=tuple(range(1, len(ends) + 1)),
        at=at,
        values=tuple(0.1 * i for i in range(len(at))),
        n_eff=(4.0,) * len(at),
        weights=(1.0,) * len(at),
        correct=tuple(float(i) for i in range(len(at))),
        total=(4.0,) * len(at),
        outcome=1.0 if answer else None,
    )


def said(codec: StepCodec, made: ValueTarget) -> list[tuple[str, float]]:
    """What has been read where each value stands."""
    ids = made.prompt_ids + made.token_ids
    values = zip(made.at, made.values, strict=True)
    return [(codec.tokenizer.decode(ids[: len(made.prompt_ids) + at + 1]), value) for at, value in values]


@pytest.mark.parametrize("end", [True, False])
def test_values_stand_where_the_verifier_will_be_read(end: bool) -> None:
    """Also where the policy never wrote its end token."""
    made = Recoder(OWN, POLICY).target(row(*STEPS, answer="17", end=end, root=True), problem())
    assert made is not None
    reading = PrefixReader(OWN, POLICY, "step_end").read(whole(POLICY, *STEPS, end=end))
    assert made.prompt_ids + made.token_ids == reading.ids
    assert tuple(at + len(made.prompt_ids) for at in made.at) == (len(made.prompt_ids) - 1, *reading.at)
    asked, first = "Ana has 12 coins. ->\n", "Ben: 12 + 5 = 17\n"
    second = first + f"{STEPS[1]}\n"
    assert [text for text, _ in said(OWN, made)] == [
        asked,
        asked + first,
        asked + second,
        asked + second + "Answer: 17<eos>",
    ]
    assert [value for _, value in said(OWN, made)] == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert made.completions == (first, f"{STEPS[1]}\n", "Answer: 17") and made.ends == made.at[1:]
    assert (made.outcome, made.total, made.labels, made.nodes) == (1.0, (4.0,) * 4, (True,) * 3, (1, 2, 3))


def test_an_open_path_gets_no_end_token() -> None:
    made = Recoder(OWN, POLICY).target(row(*STEPS), problem())
    assert (
        made is not None
        and OWN.decode(made.token_ids) == f"{STEPS[0]}\n{STEPS[1]}\n"
        and made.token_ids[-1] != OWN.end_id
    )


def test_a_step_token_carries_the_values_and_has_none_for_the_bare_question() -> None:
    made = Recoder(MARKED, POLICY).target(row(*STEPS, answer="17", root=True), problem())
    assert made is not None
    assert said(MARKED, made)[-1] == (
        f"Ana has 12 coins.\n{STEPS[0]}<bos>{STEPS[1]}<bos>Answer: 17<bos>",
        pytest.approx(0.3),
    )
    assert (
        made.values == pytest.approx((0.1, 0.2, 0.3)) and made.correct == (1.0, 2.0, 3.0) and made.n_eff == (4.0,) * 3
    )


def gluing() -> Any:
    """A tokenizer that makes one token of what it has seen often, across lines."""
    from tokenizers import Tokenizer, decoders, models, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.decoder = decoders.Fuse()
    core.train_from_iterator(
        ["1 + 1 = 2\nAnswer: 2", "Ana has 12 coins."] * 50,
        trainers.BpeTrainer(vocab_size=90, special_tokens=["<eos>"], show_progress=False),
    )
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<eos>", clean_up_tokenization_spaces=False)


def test_steps_that_run_into_one_token_are_left_out() -> None:
    glued = Recoder(StepCodec(Format(), gluing()), POLICY)
    assert glued.target(row("1 + 1 = 2", answer="2"), problem()) is None
    assert glued.target(row("1 + 1 = 2"), problem()) is not None


def pair(chosen: str, rejected: str, *shared: str, end: bool = False) -> StepPair:
    prefix_, better, worse = (
        POLICY.encode(typed(*pieces), end=last)
        for pieces, last in (
            ([("step", f"{s}\n") for s in shared], False),
            ([("step", chosen)], end),
            ([("step", rejected)], end),
        )
    )
    prompt, start = tuple(POLICY.prompt_ids("Ana has 12 coins.")), "Ana has 12 coins.\n"
    ids = [tuple(t for s in segments for t in s.token_ids) for segments in (prefix_, better, worse)]
    return StepPair(
        problem_id="p",
        tree=0,
        rule="margin",
        prompt=start + "".join(f"{s}\n" for s in shared),
        chosen=chosen,
        rejected=rejected,
        prompt_ids=(*prompt, *ids[0]),
        prompt_length=len(prompt),
        chosen_ids=ids[1],
        rejected_ids=ids[2],
        chosen_nodes=(2,),
        rejected_nodes=(3,),
        score_chosen=0.75,
        score_rejected=0.25,
        scale="p",
        reference_chosen=-3.0,
        reference_rejected=-4.0,
        end_mark="eos" if end else "none",
    )


@pytest.mark.parametrize("shared", [(), STEPS[:1], STEPS])
def test_both_sides_of_a_pair_continue_one_prefix(shared: tuple[str, ...]) -> None:
    made = Recoder(OWN, POLICY).pair(pair("17 - 3 = 14\n", "17 - 3 = 15\n", *shared), problem())
    assert made is not None
    assert OWN.decode(made.prompt_ids) == made.prompt == "Ana has 12 coins. ->\n" + "".join(f"{s}\n" for s in shared)
    assert OWN.decode(made.prompt_ids[: made.prompt_length]) == "Ana has 12 coins. ->\n"
    assert (OWN.decode(made.chosen_ids), OWN.decode(made.rejected_ids)) == ("17 - 3 = 14\n", "17 - 3 = 15\n")
    assert (made.reference_chosen, made.end_mark, made.margin) == (None, "none", 0.5)


def test_sides_that_end_keep_their_end() -> None:
    made = Recoder(OWN, POLICY).pair(pair("Answer: 17", "Answer: 15", *STEPS, end=True), problem())
    assert made is not None and made.chosen_ids[-1] == made.rejected_ids[-1] == OWN.end_id and made.end_mark == "eos"
    marked = Recoder(MARKED, POLICY).pair(pair("17 - 3 = 14\n", "17 - 3 = 15\n", *STEPS), problem())
    assert marked is not None and {marked.chosen_ids[-1], marked.rejected_ids[-1]} == {MARKED.tokenizer.bos_token_id}


def test_what_has_no_place_among_other_tokens_is_refused() -> None:
    recoder, made = Recoder(OWN, POLICY), row(*STEPS)
    with pytest.raises(
        UserError, match=r"problem 'p' has a value at token 0, inside a step, but .* \(`level: steps`\)"
    ):
        recoder.target(replace(made, at=(0, *made.ends[1:])), problem())
    with pytest.raises(
        UserError,
        match="policy: the token ids of a path of problem 'p' decode to .* Give the policy that grew the trees",
    ):
        Recoder(POLICY, OWN).target(made, problem())
    with pytest.raises(
        UserError, match="model: its tokenizer does not give back a path of problem 'p'.* Its vocabulary misses some"
    ):
        Recoder(StepCodec(Format(), gluing()), POLICY).target(row("Ben: 12 + 5 = 17"), problem())
    with pytest.raises(UserError, match="Format mismatch: the policy has step_delimiter"):
        Recoder(StepCodec(Format(task=TaskFormat(step_delimiter="\n\n")), bpe()), POLICY)
