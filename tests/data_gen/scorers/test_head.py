"""The `head` scorer: known outputs, aggregates, other tokenizers, charging, and what is refused."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from data_gen.errors import UserError
from data_gen.format import Format, ModelFormat, StepCodec, TaskFormat
from data_gen.records.scales import Scale
from data_gen.scorers import SCORERS, Scorer, Tools
from data_gen.verifiers.checkpoint import Verifier, save_verifier
from data_gen.verifiers.heads import HeadConfig
from data_gen.verifiers.reading import PrefixReader
from tests.data_gen.scorers.prefixes import NOBODY, prefix, problem, score, whole
from tests.data_gen.test_format import bpe
from tests.data_gen.verifiers.tiny import CONTEXT, verifier, words

POLICY = StepCodec(Format(), words())
STEPS = ("Ben: 12 + 5 = 17", "Ben: 17 - 3 = 14", "Ben: 14 + 3 = 17")


def opened(
    made: Verifier, folder: Path, *, codec: StepCodec = POLICY, count: Any = lambda name: None, **options: Any
) -> Scorer:
    save_verifier(made, folder)
    tools = Tools(codec=codec, verifier=folder, verifier_hash="abc", count=count)
    return SCORERS.get("head").model_validate({"uses": "head", **options}).open(tools)


def reading_head(tokens: dict[str, float], head: HeadConfig | None = None) -> Verifier:
    """A verifier whose score at a token is that token's number, whatever came before: layers that add nothing, one-hot
    embeddings."""
    made = verifier(head or HeadConfig(activation="none", scale=Scale.ODDS))
    with torch.no_grad():
        for name, weight in made.backbone.named_parameters():
            weight.zero_()
            if name.endswith("norm.weight"):
                weight.fill_(1.0)
        embedding = made.backbone.embed_tokens.weight
        for i, (token, value) in enumerate(tokens.items()):
            embedding[made.tokenizer.convert_tokens_to_ids(token), i] = 1.0
            made.head.score.weight[0, i] = value / math.sqrt(32)  # RMS norm makes a one-hot of length sqrt(hidden size)
            made.head.score.bias.zero_()
        made.head.score.weight[0, len(tokens) :] = 0.0
    return made


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (HeadConfig(activation="none", scale=Scale.ODDS), 2.0),
        (HeadConfig(), 1 / (1 + math.exp(-2.0))),
        (HeadConfig(activation="tanh", scale=Scale.SIGNED, gain=0.2), math.tanh(0.4)),
        (HeadConfig(activation="clip"), 1.0),
    ],
)
def test_a_value_by_hand(head: HeadConfig, expected: float, tmp_path: Path) -> None:
    """The score is 2 at a line's end and 5 at the end token."""
    scorer = opened(reading_head({"\n": 2.0, "<eos>": 5.0}, head), tmp_path)
    assert scorer.scale is head.scale and scorer.name == "head:abc"
    [found] = score(scorer, [prefix(POLICY, *STEPS)])
    assert found.value == pytest.approx(expected, abs=1e-4)
    assert found.tokens == len(POLICY.prompt_ids("Ana has 12 coins.")) + sum(
        len(POLICY.tokenizer(s + "\n")["input_ids"]) for s in STEPS
    )


def test_the_answer_is_read_at_the_end_token_and_the_problem_at_its_own(tmp_path: Path) -> None:
    scorer = opened(reading_head({"\n": 2.0, "<eos>": 5.0, ".": -1.0, " 1": 7.0}), tmp_path)
    plain = StepCodec(Format(model=ModelFormat(plain_suffix="")), words())
    scores = score(scorer, [whole(POLICY, *STEPS), whole(POLICY, *STEPS, end=False), prefix(POLICY)])
    # a plain prompt ends with a line's end
    assert [s.value for s in scores] == pytest.approx([5.0, 5.0, 2.0], abs=1e-3)
    again = opened(reading_head({"\n": 2.0, ".": -1.0}), tmp_path / "b", codec=plain)
    assert score(again, [prefix(plain)])[0].value == pytest.approx(2.0, abs=1e-3)  # its own template says so


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [("last", 0.75), ("min", 0.25), ("prod", 0.5 * 0.25 * 0.75), ("mean", (0.5 + 0.25 + 0.75) / 3)],
)
def test_the_values_of_steps_become_one(aggregate: str, expected: float, tmp_path: Path) -> None:
    """Three steps that end with "=", "+" and "-", which are worth 0.5, 0.25 and 0.75."""
    scorer = opened(
        reading_head({" =": 0.0, " +": math.log(1 / 3), " -": math.log(3)}, HeadConfig()), tmp_path, aggregate=aggregate
    )
    ids = tuple(POLICY.tokenizer(" 1 = 2 + 3 -")["input_ids"])
    asked = dataclasses.replace(prefix(POLICY), token_ids=ids, ends=(1, 3, 5))
    assert score(scorer, [asked])[0].value == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    "head", [HeadConfig(), HeadConfig(activation="clip", read_at="every_token"), HeadConfig(read_at="last")], ids=str
)
def test_values_equal_a_plain_forward(head: HeadConfig, tmp_path: Path) -> None:
    made = verifier(head)
    scorer = opened(made, tmp_path)
    asked = [prefix(POLICY, *STEPS[:n]) for n in range(4)] + [whole(POLICY, *STEPS[:n]) for n in range(4)]
    for found, prefix_ in zip(score(scorer, asked), asked, strict=True):
        ids = (*prefix_.prompt_ids, *prefix_.token_ids)
        with torch.no_grad():
            expected = made.head(made.backbone(input_ids=torch.tensor([ids])).last_hidden_state)[0, -1].item()
        assert found.value == pytest.approx(expected, abs=1e-5) and found.tokens == len(ids)


def test_a_verifier_with_its_own_tokenizer_reads_texts(tmp_path: Path) -> None:
    made = verifier(tokenizer=bpe(), fmt=Format(model=ModelFormat(plain_suffix=" ->\n")))
    scorer, asked = opened(made, tmp_path), whole(POLICY, *STEPS)
    [found] = score(scorer, [asked])
    ids = bpe()("Ana has 12 coins. ->\n" + "".join(s + "\n" for s in STEPS) + "Answer: 17")["input_ids"] + [
        bpe().eos_token_id
    ]
    assert PrefixReader(made.codec, POLICY, "step_end").read(asked).ids == tuple(ids)
    with torch.no_grad():
        expected = made.head(made.backbone(input_ids=torch.tensor([ids])).last_hidden_state)[0, -1].item()
    assert found.value == pytest.approx(expected, abs=1e-5) and found.tokens == len(ids)


def test_company_and_order_change_no_bit(tmp_path: Path, one_thread: None) -> None:
    asked = [
        prefix(POLICY, *STEPS[:n], of=problem(question=q))
        for n in range(4)
        for q in ("Ana has 3 coins.", "Ben has 12.", "Who?")
    ]
    alone = [score(opened(verifier(), tmp_path), [p])[0] for p in asked]
    scorer = opened(verifier(), tmp_path)

    async def main() -> list[Any]:
        return list(await asyncio.gather(*(scorer([p], NOBODY) for p in reversed(asked))))

    assert [found for [found] in asyncio.run(main())] == alone[::-1]


def test_prefixes_of_many_programs_make_one_forward_and_are_read_once(tmp_path: Path) -> None:
    scorer = opened(verifier(), tmp_path)
    forwards: list[int] = []
    gather = scorer._gather  # type: ignore[attr-defined]
    gather._forward, forward = lambda asked: (forwards.append(len(asked)), forward(asked))[1], gather._forward
    asked = [prefix(POLICY, *STEPS[:n]) for n in range(4)]

    async def main() -> None:
        await asyncio.gather(*(scorer(asked[i % 4 :], NOBODY) for i in range(20)))
        again = await scorer(asked, NOBODY)
        # what was cached is charged, too: trees do not depend on their company
        assert all(found.tokens > 0 for found in again)

    asyncio.run(main())
    assert forwards == [4]


@pytest.mark.parametrize(
    ("head", "options", "message"),
    [
        (HeadConfig(), {"scale": "signed"}, "scorer.head has scale='signed', the checkpoint has scale='p'"),
        (
            HeadConfig(),
            {"activation": "tanh"},
            "scorer.head has activation='tanh', the checkpoint has activation=",
        ),
        (HeadConfig(), {"read_at": "last"}, "scorer.head has read_at='last', the checkpoint has read_at='step_end'"),
        (
            HeadConfig(read_at="last"),
            {"aggregate": "min"},
            "scorer.aggregate is 'min', but the head is read at the last token only",
        ),
        (HeadConfig(activation="tanh", scale=Scale.SIGNED), {"aggregate": "prod"}, "only probabilities multiply"),
        (
            HeadConfig(activation="none", scale=Scale.RANKING),
            {"too_long": "lowest"},
            "scale 'ranking' has no least value",
        ),
    ],
)
def test_what_does_not_fit_the_head_is_refused(
    head: HeadConfig, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        opened(verifier(head), tmp_path, **options)


def test_a_verifier_of_another_task_format_is_refused(tmp_path: Path) -> None:
    made = verifier(fmt=Format(task=TaskFormat(answer_mark="So: ")))
    with pytest.raises(UserError, match="the verifier has answer_mark='So: ', the policy has answer_mark='Answer: '"):
        opened(made, tmp_path)


def test_without_a_checkpoint_nothing_is_scored() -> None:
    with pytest.raises(
        UserError, match="scorer.head reads a checkpoint, but this stage has none; give it a `verifier:`"
    ):
        SCORERS.get("head").model_validate({"uses": "head"}).open(Tools(codec=POLICY))


def test_a_prefix_that_is_too_long_ends_the_stage_or_is_worth_least_and_counted(tmp_path: Path) -> None:
    long, short = prefix(POLICY, *STEPS * 5), prefix(POLICY, *STEPS)
    assert len(long.prompt_ids) + len(long.token_ids) > CONTEXT
    with pytest.raises(
        UserError, match=rf"scorer head:abc: a partial solution of problem 'p' has \d+ tokens, .* context of {CONTEXT}"
    ):
        score(opened(verifier(), tmp_path), [short, long])
    counts: Counter[str] = Counter()
    scorer = opened(verifier(), tmp_path, too_long="lowest", count=lambda name: counts.update([name]))
    [first, second, third] = score(scorer, [long, short, long])
    assert (
        first == third
        and (first.value, first.tokens) == (0.0, 0)
        and second.value > 0
        and counts == {"scorer.too_long": 2}
    )


def test_nan_weights_are_named_with_scorer_and_problem(tmp_path: Path) -> None:
    from data_gen.search.algorithms.best_of_n import BestOfN
    from tests.data_gen.search.toy import CODEC, TOKENIZER, World, grow

    made = verifier(tokenizer=TOKENIZER)
    torch.nn.init.constant_(made.head.score.bias, float("nan"))
    with pytest.raises(
        UserError, match="scorer head:abc on problem 'p0' gave the value nan, which is not on scale 'p'"
    ):
        grow(BestOfN(n=2), World.random(0), scorer=opened(made, tmp_path, codec=CODEC))


def noisy(folder: Path, share: float, seed: int = 0) -> Scorer:
    save_verifier(verifier(HeadConfig()), folder)
    tools = Tools(codec=POLICY, verifier=folder, verifier_hash="abc", seed=seed)
    return SCORERS.get("head").model_validate({"uses": "head", "noise": share}).open(tools)


def test_noise_is_a_share_of_the_value_and_stays_with_its_prefix(tmp_path: Path) -> None:
    prefixes = [prefix(POLICY, *STEPS[:n]) for n in (1, 2, 3)]
    values = {
        (share, seed): [found.value for found in score(noisy(tmp_path / f"{share}{seed}", share, seed), prefixes)]
        for share in (0.0, 0.25, 1.0)
        for seed in (0, 1)
    }
    assert values[0.0, 0] == values[0.0, 1]
    for seed in (0, 1):
        mixed = [0.75 * p + 0.25 * u for p, u in zip(values[0.0, seed], values[1.0, seed], strict=True)]
        assert values[0.25, seed] == pytest.approx(mixed)
    assert len({*values[1.0, 0], *values[1.0, 1]}) == 6
    again = noisy(tmp_path / "again", 1.0)
    assert again.name == "head:abc:noise=1"
    assert [found.value for found in score(again, prefixes[::-1])] == values[1.0, 0][::-1]


def test_noise_covers_the_unit_interval(tmp_path: Path) -> None:
    scorer = noisy(tmp_path, 1.0)
    found = [score(scorer, [prefix(POLICY, f"Ben: 12 + {n} = 17")])[0].value for n in range(200)]
    assert 0 <= min(found) < 0.05 and 0.95 < max(found) <= 1
    assert sum(found) / len(found) == pytest.approx(0.5, abs=0.07)


def test_noise_needs_probabilities(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"scorer\.noise is 0\.5, but the head's values are of scale 'odds'; only"):
        opened(verifier(HeadConfig(activation="none", scale=Scale.ODDS)), tmp_path, noise=0.5)
