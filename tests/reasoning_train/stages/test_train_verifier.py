"""`train_verifier` and `calibrate` through the worker: every head learns, loads anywhere, and what is refused."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from data_gen.errors import UserError
from data_gen.records.labels import ValueTarget
from data_gen.records.scales import BOUNDS, Scale
from data_gen.records.solution import Solution
from data_gen.records.verdict import Verdict
from data_gen.verifiers.checkpoint import load_verifier
from data_gen.verifiers.forward import Forward
from data_gen.verifiers.heads import HeadConfig
from data_gen.verifiers.reading import Readout
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import GateError
from reasoning_train.evaluation.ranking import platt
from reasoning_train.models.policy import load_policy
from reasoning_train.stages.train_verifier import TrainVerifierConfig
from reasoning_train.store.store import Artifact
from reasoning_train.trainers.data.values import encode_groups
from reasoning_train.trainers.score import mean_logprobs, score_solutions
from tests.data_gen.typed import typed
from tests.reasoning_train.bench import CHAIN, Bench, problem, rows_of
from tests.reasoning_train.stages.test_dpo import pairs


def targets(bench: Bench, n: int = 16, level: str = "step_end", scale: str = "p") -> list[ValueTarget]:
    """A right and a wrong solution of each question: the wrong one writes 9 where the right one writes 2, in its first
    step."""
    codec, made = bench.policy().codec, []
    low = -1.0 if scale == "signed" else 0.0
    for i in range(n):
        right, digit = i % 2 == 0, 2 if i % 2 == 0 else 9
        prompt = tuple(codec.prompt_ids(f"Ana has {i // 2 % 9 + 1}."))
        segments = codec.encode(typed(("step", f"1 + 1 = {digit}\n"), ("answer", f"Answer: {digit}")), end=True)
        ids = tuple(t for s in segments for t in s.token_ids)
        ends = (len(segments[0].token_ids) - 1, len(ids) - 1)
        at = {"step_end": ends, "every_token": tuple(range(len(ids))), "last": ends[-1:]}[level]
        made.append(
            ValueTarget(
                prompt=codec.decode(prompt),
                completions=(segments[0].text, segments[1].text),
                labels=(right, right),
                problem_id=f"p{i // 2}",
                tree=0,
                source="outcome",
                scale=scale,
                prompt_ids=prompt,
                token_ids=ids,
                ends=ends,
                nodes=(1, 2),
                at=at,
                values=(1.0 if right else low,) * len(at),
                n_eff=(1.0,) * len(at),
                weights=(1.0,) * len(at),
                outcome=float(right),
            )
        )
    return made


def train(bench: Bench, rows: list[ValueTarget] | None = None, name: str = "verifier", **config: Any) -> Artifact:
    made = targets(bench) if rows is None else rows
    bench.make(f"{name}_targets", "t_targets", rows=[row.to_row() for row in made])
    fixed: dict[str, Any] = {"policy": Ref("model"), "learning_rate": 0.005, "batch_size": 8, "max_steps": 40}
    return bench.make(name, "train_verifier", targets=Ref(f"{name}_targets"), **{**fixed, **config})


def read(artifact: Artifact, row: ValueTarget) -> float:
    """The value at the end, as searches read it."""
    ids = (*row.prompt_ids, *row.token_ids)
    [[value]] = Forward(load_verifier(artifact.path / "verifier")).values([Readout(ids, (len(ids) - 1,))])
    return value


HEADS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "orm": ({"head": {"read_at": "last"}}, {"level": "last"}),
    "prm": ({}, {}),
    "mse": ({"losses": ["mse"], "head": {"activation": "tanh", "scale": "signed"}}, {"scale": "signed"}),
    "tvm": ({"losses": ["mse"], "head": {"activation": "clip", "read_at": "every_token"}}, {"level": "every_token"}),
    "two layers": ({"head": {"kind": "two_layer", "labels": 2}}, {}),
    "from vocabulary": (
        {"losses": ["mse"], "head": {"kind": "from_vocab", "scale": "progress"}},
        {"scale": "progress"},
    ),
    "listwise": (
        {"losses": ["ranking"], "head": {"activation": "none", "scale": "ranking", "read_at": "last", "bias": False}},
        {},
    ),
    "adapters": ({"lora": {"r": 4}, "learning_rate": 0.02, "max_steps": 60}, {}),
}


@pytest.mark.parametrize("case", HEADS)
def test_every_head_learns_to_tell_right_from_wrong(kitchen: Bench, case: str) -> None:
    config, shape = HEADS[case]
    rows = targets(kitchen, **shape)
    artifact = train(kitchen, rows, **config)
    values = [read(artifact, row) for row in rows]
    assert min(values[::2]) > max(values[1::2])
    searched(kitchen, "verifier")


def searched(bench: Bench, verifier: str) -> None:
    """A search that this verifier scores, on the scale that its head declares."""
    head = load_verifier(bench.store.open(bench.nodes[verifier]).path / "verifier").head.config
    bench.problems("asked", [problem("a", question="Ana has 3. How many has Ana?", gold="3")])
    how = {
        "uses": "mcts",
        "outcome_weight": 0.0,
        "expand": {"n": 3, "max_tokens": 8},
        "max_length": 24,
        "scale": str(head.scale),
    }
    given: dict[str, Any] = {
        "policy": Ref("model"),
        "problems": Ref("asked"),
        "scorer": {"uses": "head"},
        "verifier": Ref(verifier),
    }
    rows = rows_of(bench.make(f"by_{verifier}", "search", search=how, **given))
    scored = [row["value"] for row in rows if row["value"] is not None]
    low, high = BOUNDS[head.scale]
    assert len(set(scored)) > 1 and all(low <= value <= high for value in scored)
    assert {row["scale"] for row in rows} == {str(head.scale)} and all(row["scored_tokens"] > 0 for row in rows)


def test_siblings_are_ranked(kitchen: Bench) -> None:
    rows = pairs(kitchen)
    kitchen.make("pairs", "t_pairs", rows=[row.to_row() for row in rows])
    head = {"activation": "none", "scale": "ranking", "bias": False}
    fixed: dict[str, Any] = {
        "learning_rate": 0.005,
        "batch_size": 4,
        "max_steps": 40,
        "losses": ["ranking"],
        "head": head,
    }
    artifact = kitchen.make("verifier", "train_verifier", policy=Ref("model"), pairs=Ref("pairs"), **fixed)
    forward = Forward(load_verifier(artifact.path / "verifier"))
    for row in rows:
        sides = [(*row.prompt_ids, *ids) for ids in (row.chosen_ids, row.rejected_ids)]
        [[better], [worse]] = forward.values([Readout(ids, (len(ids) - 1,)) for ids in sides])
        assert better > worse


def test_plain_transformers_loads_what_was_trained(kitchen: Bench) -> None:
    from transformers import AutoModelForTokenClassification

    row, artifact = targets(kitchen)[0], train(kitchen)
    model = AutoModelForTokenClassification.from_pretrained(artifact.path / "verifier").eval()
    with torch.no_grad():
        score = model(torch.tensor([[*row.prompt_ids, *row.token_ids]])).logits[0, -1, 0]
    assert score.sigmoid().item() == pytest.approx(read(artifact, row), abs=1e-5)


def test_training_goes_on_with_a_head_of_the_same_kind_only(kitchen: Bench) -> None:
    """What a verifier says of its scale and its reading holds for whoever trains it next."""
    from data_gen.verifiers.head_files import save_head
    from data_gen.verifiers.value_head import ValueHead
    from reasoning_train.trainers.heads import open_head

    folder = kitchen.store.open(kitchen.nodes["model"]).path / "model"
    save_head(ValueHead(HeadConfig(activation="tanh", scale="signed"), 32), folder)  # type: ignore[arg-type]
    model = kitchen.policy().model
    with pytest.raises(
        UserError,
        match=r"Head mismatch: the recipe's head has activation='sigmoid', the checkpoint has .*'tanh'",
    ):
        open_head(folder, HeadConfig(), model)
    assert open_head(folder, HeadConfig(activation="tanh", scale="signed"), model).width == 32  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"the recipe's head has bias=False, the checkpoint has bias=True"):
        open_head(folder, HeadConfig(activation="tanh", scale="signed", bias=False), model)  # type: ignore[arg-type]
    dropping = open_head(folder, HeadConfig(activation="tanh", scale="signed", dropout=0.5), model)  # type: ignore[arg-type]
    assert dropping.dropout.p == dropping.config.dropout == 0.5  # of the training, not of what the values mean


def test_a_verifier_is_trained_further(kitchen: Bench) -> None:
    """Its backbone and, where it is read alike, its head; a head of another kind begins anew, above the same
    backbone."""
    rows = targets(kitchen)
    before = train(kitchen, rows)
    still = train(kitchen, rows, "still", policy=Ref("verifier"), learning_rate=1e-12, max_steps=1)
    assert [read(still, row) for row in rows] == pytest.approx([read(before, row) for row in rows], abs=1e-6)
    other: dict[str, Any] = {
        "policy": Ref("verifier"),
        "head": {"read_at": "last"},
        "learning_rate": 1e-12,
        "max_steps": 1,
    }
    last = targets(kitchen, level="last")
    with pytest.raises(
        UserError, match=r"Head mismatch: the recipe's head has read_at='last', the checkpoint has read_at='step_end'"
    ):
        train(kitchen, last, "other", **other)
    fresh = load_verifier(train(kitchen, last, "fresh", new_head=True, **other).path / "verifier")
    known = load_verifier(before.path / "verifier")
    assert fresh.head.config.read_at == "last"
    assert not torch.equal(fresh.head.score.weight, known.head.score.weight)
    assert all(
        torch.allclose(value, known.backbone.state_dict()[name]) for name, value in fresh.backbone.state_dict().items()
    )
    with pytest.raises(
        GateError, match=r"head.kind 'from_vocab' reads the logits of a language model, but verifier has none"
    ):
        train(kitchen, rows, "words", **{**other, "head": {"kind": "from_vocab"}}, new_head=True)


def test_ends_of_the_policy_are_those_of_its_verifier(kitchen: Bench, tmp_path: Path) -> None:
    """A chat model may end in several ways; who trains on, reads or calibrates the verifier must know them all."""
    folder, ends = tmp_path / "chat", sorted({*kitchen.policy().end_ids, 7})
    shutil.copytree(kitchen.store.open(kitchen.nodes["model"]).path / "model", folder)
    GenerationConfig(eos_token_id=ends).save_pretrained(folder)
    kitchen.make("chat", "model", path=str(folder))
    made = train(kitchen, policy=Ref("chat"), max_steps=1)
    assert sorted(load_verifier(made.path / "verifier").codec.end_ids) == ends
    assert sorted(load_policy(made.path / "verifier", lm_head=False).end_ids) == ends
    pool(kitchen)
    given = {"problems": Ref("questions"), "solutions": Ref("pool"), "policy": Ref("model")}
    calibrated = kitchen.make(
        "calibrated", "calibrate", verifier=Ref("verifier"), min_rows=4, method="isotonic", **given
    )
    assert sorted(load_verifier(calibrated.path / "verifier").codec.end_ids) == ends


def test_a_calibrated_verifier_is_trained_further_under_a_new_head_only(kitchen: Bench) -> None:
    train(kitchen)
    pool(kitchen)
    given = {"problems": Ref("questions"), "solutions": Ref("pool"), "policy": Ref("model")}
    kitchen.make("calibrated", "calibrate", verifier=Ref("verifier"), min_rows=4, **given)
    with pytest.raises(
        UserError, match=r"Head mismatch: the recipe's head has gain=1.0, .*start a new head \(`new_head: true`"
    ):
        train(kitchen, name="next", policy=Ref("calibrated"), max_steps=1)
    train(kitchen, name="next", policy=Ref("calibrated"), max_steps=1, new_head=True)


REFUSED = {
    "nan": (
        lambda t: replace(t, values=(float("nan"), 1.0)),
        r"values is nan; expected a number from 0 to 1, the bounds of scale 'p'",
    ),
    "outside": (lambda t: replace(t, values=(-1.0, 1.0)), r"values is -1.0; expected a number from 0 to 1"),
    "places": (
        lambda t: replace(t, at=(0, t.ends[1])),
        r"at is 0; expected ends of steps, as head.read_at is 'step_end'",
    ),
    "vocabulary": (
        lambda t: replace(t, token_ids=(*t.token_ids[:-1], 5_000)),
        r"token_ids is 5000; expected ids from 0 to \d+",
    ),
    "no prompt": (lambda t: replace(t, prompt_ids=()), r"prompt_ids is \(\); expected at least one token"),
    "prompt": (
        lambda t: replace(t, prompt="Another."),
        r"prompt is 'Another.'; expected the text of prompt_ids, 'Ana has 2.'",
    ),
    "weights": (
        lambda t: replace(t, weights=(float("inf"), 1.0)),
        r"weights is inf; expected a finite number, not below 0",
    ),
    "indices": (
        lambda t: replace(t, at=(t.ends[0], 99)),
        r"at is \(\d+, 99\); expected indices from -1 \(the prompt's end\) to \d+",
    ),
    "text": (lambda t: replace(t, completions=("other",)), r"completions is 'other'; expected the text of token_ids"),
    "empty": (lambda t: replace(t, token_ids=()), r"token_ids is \(\); expected at least one token"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_rows_that_cannot_be_learnt_are_named(kitchen: Bench, case: str) -> None:
    spoil, message = REFUSED[case]
    rows = targets(kitchen, 4)
    rows[2] = spoil(rows[2])
    with pytest.raises(UserError, match=message) as error:
        train(kitchen, rows)
    assert "Value target 2 (problem 'p1')" in str(error.value)


def test_gates_and_settings_that_do_not_fit(kitchen: Bench) -> None:
    with pytest.raises(GateError, match=r"0 of 16 targets are wrong .* The first that is right: problem 'p0', '.*‹›"):
        train(kitchen, targets(kitchen)[::2], name="a")
    with pytest.raises(UserError, match="cannot be read as 'p'"):
        train(kitchen, targets(kitchen, scale="progress"), name="b")
    with pytest.raises(
        GateError,
        match=r"0 rows to train on, fewer than min_rows=1 \(dropped: 16 over max_length=4 tokens.*"
        r" The first .*: problem 'p0', \d+ tokens, '",
    ):
        train(kitchen, name="c", max_length=4)
    with pytest.raises(ValueError, match="'ranking' needs a head of scale 'ranking', not 'p'"):
        train(kitchen, name="d", losses=["ranking"])
    with pytest.raises(ValueError, match="'dpo' reads pairs .* which train_verifier with `targets` does not have"):
        train(kitchen, name="f", losses=["dpo"])
    with pytest.raises(ValueError, match="'bce' reads .* which train_verifier with `pairs` does not have"):
        TrainVerifierConfig.model_validate({"policy": Ref("m"), "pairs": Ref("p"), "learning_rate": 1.0})
    with pytest.raises(ValueError, match="'bce' needs a head with activation 'sigmoid'"):
        train(kitchen, name="e", head={"activation": "tanh", "scale": "signed"})


def pool(bench: Bench) -> None:
    """Two right and two wrong solutions of each of six problems, with the first right one drawn twice."""
    asked = [problem(f"p{i}", f"Ana has {i + 1}.", gold="2") for i in range(6)]
    bench.problems("questions", asked, CHAIN)
    codec, rows = bench.policy().codec, []
    for one in asked:
        for sample, digit in enumerate((2, 9, 2, 7)):
            segments = codec.encode(typed(("step", f"1 + 1 = {digit}\n"), ("answer", f"Answer: {digit}")), end=True)
            rows.append(
                Solution(
                    problem_id=one.id,
                    sample=sample,
                    prompt=codec.prompt_text(one.question),
                    segments=segments,
                    answer=str(digit),
                    verdict=Verdict.CORRECT if digit == 2 else Verdict.WRONG,
                    finish="stop",
                    prompt_ids=tuple(codec.prompt_ids(one.question)),
                )
            )
    bench.make("pool", "t_solutions", rows=[row.to_row() for row in rows])


def test_what_will_be_the_score_is_calibrated(kitchen: Bench) -> None:
    """`aggregate: min`: gain and offset are those of the least score of the steps."""
    train(kitchen, max_steps=12)  # so little that the steps of a solution differ
    pool(kitchen)
    given = {
        "verifier": Ref("verifier"),
        "problems": Ref("questions"),
        "solutions": Ref("pool"),
        "policy": Ref("model"),
        "min_rows": 4,
    }
    made = {how: kitchen.make(how, "calibrate", aggregate=how, **given) for how in ("last", "min")}
    verifier = load_verifier(kitchen.store.open(kitchen.nodes["verifier"]).path / "verifier")
    drawn = [Solution.from_row(row) for row in rows_of(kitchen.store.open(kitchen.nodes["pool"]))]
    found = score_solutions(verifier, kitchen.policy().codec, [(problem(one.problem_id), [one]) for one in drawn])
    raw = [[math.log(value / (1 - value)) for value in values] for _, _, [values] in found]
    right = [one.verdict is Verdict.CORRECT for one in drawn]
    for how, score in (("last", lambda steps: steps[-1]), ("min", min)):
        gain, offset = platt([score(steps) for steps in raw], right)
        fit = made[how].manifest["metrics"]["fit"]
        assert (fit["gain"], fit["offset"]) == (
            pytest.approx(gain, rel=0.02),
            pytest.approx(offset, rel=0.02, abs=0.02),
        )
    assert made["last"].manifest["metrics"]["fit"]["gain"] != pytest.approx(
        made["min"].manifest["metrics"]["fit"]["gain"], rel=0.05
    )


def test_a_solution_beyond_the_context_is_named(kitchen: Bench) -> None:
    pool(kitchen)
    [drawn, *_] = [Solution.from_row(row) for row in rows_of(kitchen.store.open(kitchen.nodes["pool"]))]
    folder, codec = kitchen.store.open(kitchen.nodes["model"]).path / "model", kitchen.policy().codec
    long = replace(drawn, segments=tuple(replace(one, token_ids=one.token_ids * 60) for one in drawn.segments))
    with pytest.raises(
        UserError, match=r"likelihoods: a solution of problem 'p0' has \d+ tokens, more than the model's context of 128"
    ):
        list(mean_logprobs(folder, codec, [(problem("p0"), [long])]))


def test_a_group_of_one_class_shows_a_path_that_fits(kitchen: Bench) -> None:
    """The wrong path of p0 is too long, so nothing is left to compare the right one with."""
    right, wrong = targets(kitchen, 2)
    long = replace(wrong, token_ids=wrong.token_ids * 9, completions=tuple(text * 9 for text in wrong.completions))
    head, codec = HeadConfig(activation="none", scale=Scale.RANKING), kitchen.policy().codec
    long = replace(long, completions=(codec.decode(long.token_ids),))
    found = encode_groups([right, long], codec, head, 64, vocabulary=kitchen.policy().model.config.vocab_size)
    assert not found.rows and found.dropped == {"too_long": 1, "one_class": 1}
    assert "'1 + 1 = 2\\nAnswer: 2'" in found.first["one_class"]


def test_calibration_needs_both_kinds(kitchen: Bench) -> None:
    train(kitchen)
    pool(kitchen)
    with pytest.raises(GateError, match="12 right and 12 wrong solutions; expected at least 50 in all, and both kinds"):
        kitchen.make(
            "calibrated",
            "calibrate",
            verifier=Ref("verifier"),
            problems=Ref("questions"),
            solutions=Ref("pool"),
            policy=Ref("model"),
        )


def test_a_verifier_of_another_format_is_refused(kitchen: Bench) -> None:
    pool(kitchen)
    kitchen.verifier("foreign", head=HeadConfig().model_dump(mode="json"), task_format={"answer_mark": "So it is "})
    given = {"problems": Ref("questions"), "solutions": Ref("pool"), "policy": Ref("model")}
    with pytest.raises(
        UserError, match="Format mismatch: the verifier has answer_mark='So it is ', the policy has answer_mark="
    ):
        kitchen.make("calibrated", "calibrate", verifier=Ref("foreign"), min_rows=4, **given)
    with pytest.raises(
        UserError, match="Format mismatch: verifier 'v' has answer_mark='So it is ', the policy has answer_mark="
    ):
        kitchen.make("measured", "evaluate_verifier", verifiers={"v": Ref("foreign")}, **given)
