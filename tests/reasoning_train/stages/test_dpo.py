"""`reference` and `dpo` through the worker: what is learnt, equivalence of packings, what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from data_gen.errors import UserError
from data_gen.records.labels import StepPair
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import GateError
from reasoning_train.store.store import Artifact, Store
from reasoning_train.trainers.data.held_out import hold_out
from reasoning_train.trainers.data.pairs import encode_pairs
from reasoning_train.worker.run_node import run_node
from tests.data_gen.typed import step_pair, typed
from tests.reasoning_train.bench import Bench, points, rows_of, weights


def pairs(bench: Bench, n: int = 12) -> list[StepPair]:
    """Correct against wrong sums; two share each question, and steps of different length."""
    codec = bench.policy().codec
    made = []
    for i in range(n):
        prompt = tuple(codec.prompt_ids(f"Ana has {i // 2 + 1}."))
        sides = [
            codec.encode(typed(("step", text)), end=False)[0]
            for text in (f"{i} + 1 = {i + 1}\n", f"{i} + 1 = {i + 7} - 0\n")
        ]
        about = {"problem_id": f"p{i // 2}", "label_smoothing": 0.1 * (i % 2)}
        made.append(step_pair(codec.decode(prompt), prompt, sides, **about))
    return made


def train(
    bench: Bench, rows: list[StepPair] | None = None, name: str = "tuned", *, referred: bool = True, **config: Any
) -> Artifact:
    made = pairs(bench) if rows is None else rows
    bench.make(f"{name}_pairs", "t_pairs", rows=[pair.to_row() for pair in made])
    if referred:
        bench.make(f"{name}_known", "reference", pairs=Ref(f"{name}_pairs"), policy=Ref("model"))
    fixed: dict[str, Any] = {"learning_rate": 0.003, "batch_size": 4, "max_steps": 3}
    data = Ref(f"{name}_known" if referred else f"{name}_pairs")
    return bench.make(name, "dpo", policy=Ref("model"), pairs=data, **{**fixed, **config})


def side(model: Any, prompt: tuple[int, ...], ids: tuple[int, ...]) -> float:
    with torch.no_grad():
        logp = model(torch.tensor([[*prompt, *ids]])).logits[0].log_softmax(-1)
    return sum(logp[len(prompt) - 1 + t, token].item() for t, token in enumerate(ids))


def test_reference_is_the_log_probability_of_each_side(kitchen: Bench) -> None:
    kitchen.make("pairs", "t_pairs", rows=[pair.to_row() for pair in pairs(kitchen)])
    artifact = kitchen.make("known", "reference", pairs=Ref("pairs"), policy=Ref("model"))
    rows, model = [StepPair.from_row(row) for row in rows_of(artifact)], kitchen.policy().model
    assert [row.chosen_ids for row in rows] == [pair.chosen_ids for pair in pairs(kitchen)]
    for row in rows:
        assert row.reference_chosen == pytest.approx(side(model, row.prompt_ids, row.chosen_ids), rel=1e-5)
        assert row.reference_rejected == pytest.approx(side(model, row.prompt_ids, row.rejected_ids), rel=1e-5)


def test_references_recorded_before_a_kill_are_kept(kitchen: Bench) -> None:
    """Of six problems, three are on disk already."""
    made = pairs(kitchen)
    kitchen.make("pairs", "t_pairs", rows=[pair.to_row() for pair in made])
    config: dict[str, Any] = {"pairs": Ref("pairs"), "policy": Ref("model"), "micro_tokens": 1}
    whole = kitchen.make("whole", "reference", **config)
    kitchen.add("parts", "reference", **config)
    run_node(kitchen.plan, "parts", kitchen.store, report=lambda event: None, shard=(0, 2))
    parts = kitchen.run("parts")
    assert rows_of(parts) == rows_of(whole) and len(rows_of(parts)) == len(made)
    assert parts.manifest["counts"] == whole.manifest["counts"] == {"in": len(made), "out": len(made)}


@pytest.mark.parametrize(
    "loss",
    [
        {},
        {"losses": ["ipo"]},
        {"losses": [{"uses": "simpo", "beta": 2.0, "gamma": 0.5}]},
        {"losses": [{"uses": "dpo", "length_normalised": True, "beta": 1.0}]},
        {"losses": ["dpo", {"uses": "sft", "weight": 0.5}]},
        {"losses": ["sft", "orpo"]},
    ],
    ids=str,
)
def test_the_better_side_gains(kitchen: Bench, loss: dict[str, Any]) -> None:
    train(kitchen, max_steps=20, **loss)
    before, after = kitchen.policy().model, kitchen.policy("tuned").model
    for pair in pairs(kitchen):
        gains = [
            side(after, pair.prompt_ids, ids) - side(before, pair.prompt_ids, ids)
            for ids in (pair.chosen_ids, pair.rejected_ids)
        ]
        assert gains[0] > gains[1]


PACKINGS = ("none", "sequence", "tree")


@pytest.mark.parametrize("loss", ["dpo", "simpo"])
def test_packing_changes_no_loss_and_no_gradient(kitchen: Bench, loss: str) -> None:
    """Ten steps too small to change a weight, so that all are taken from the same ones."""
    still = {"losses": [loss], "max_steps": 10, "learning_rate": 1e-12}
    padded, *packed = (points(train(kitchen, name=f"still_{one}", packing=one, **still)) for one in PACKINGS)
    for [point] in packed:
        for figure in ("loss", "grad_norm"):
            assert point[figure] == pytest.approx(padded[0][figure], rel=1e-5), figure


def test_packing_changes_nothing(kitchen: Bench) -> None:
    """Three steps. Adam divides by the size of the gradient, so where that is near zero a rounding error becomes a
    small step: one weight in a thousand may differ by more than rounding, and none by much."""
    padded, *packed = (weights(train(kitchen, name=f"tuned_{one}", packing=one)) for one in PACKINGS)
    for other in packed:
        near = [torch.isclose(tensor, other[name], rtol=1e-4, atol=1e-5) for name, tensor in padded.items()]
        assert torch.cat([one.flatten() for one in near]).float().mean() > 0.999
        assert all(torch.allclose(tensor, other[name], rtol=1e-4, atol=5e-5) for name, tensor in padded.items())


def test_the_first_loss_is_that_of_no_difference(kitchen: Bench) -> None:
    """Policy = reference: log 2, whatever the smoothing and the lengths."""
    artifact = train(kitchen, max_steps=10, learning_rate=1e-9)
    [point] = points(artifact)
    assert point["loss"] == pytest.approx(math.log(2), abs=1e-5)


END = 1
"""The end token of the bench's policy."""
REFUSED = {
    "equal sides": (lambda p: replace(p, rejected_ids=p.chosen_ids, rejected=p.chosen), "equal sides teach nothing"),
    "empty step": (lambda p: replace(p, chosen_ids=(), chosen=""), "chosen_ids is \\(\\); expected at least one token"),
    "one token": (
        lambda p: replace(p, prompt_ids=(), chosen_ids=p.chosen_ids[:1]),
        r"prompt_ids is \(\); expected at least one token",
    ),
    "NaN": (lambda p: replace(p, score_chosen=float("nan")), "score_chosen is nan; expected a finite number"),
    "weight": (lambda p: replace(p, weight=-1.0), "weight is -1.0; expected a finite number, not below 0"),
    "endless weight": (
        lambda p: replace(p, weight=float("inf")),
        "weight is inf; expected a finite number, not below 0",
    ),
    "reference": (
        lambda p: replace(p, reference_rejected=float("-inf")),
        "reference_rejected is -inf; expected a finite number",
    ),
    "vocabulary": (
        lambda p: replace(p, rejected_ids=(5_000,)),
        r"rejected_ids is 5000; expected ids from 0 to \d+, the model's vocabulary",
    ),
    "negative": (lambda p: replace(p, prompt_ids=(-1, *p.prompt_ids[1:])), "prompt_ids is -1; expected ids from 0 to "),
    "tokenizer": (
        lambda p: replace(p, chosen="other"),
        r"chosen is 'other'; expected the text of chosen_ids, '.*'. Use the policy's ",
    ),
    "no end": (
        lambda p: replace(p, granularity="full", end_mark="eos"),
        "expected a stop token last, as the side is a whole solution",
    ),
    "prefix": (lambda p: replace(p, prompt="Another question.\n"), "the prefix is not a prefix of both sides"),
    "end": (
        lambda p: replace(p, chosen_ids=(*p.chosen_ids, END)),
        "no stop token, as end_mark is 'none': a step must not teach the end",
    ),
    "smoothing": (
        lambda p: replace(p, label_smoothing=0.7),
        "label_smoothing is 0.7; expected a probability from 0 to 0.5",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_rows_that_cannot_be_trained_on_are_named(kitchen: Bench, case: str) -> None:
    spoil, message = REFUSED[case]
    rows = pairs(kitchen, 4)
    rows[2] = spoil(rows[2])
    with pytest.raises(UserError, match=message) as error:
        train(kitchen, rows, referred=False, losses=["simpo"])
    assert "Pair 2 (problem 'p1'" in str(error.value)


def test_a_reference_without_finite_numbers_is_refused(kitchen: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever made them so: weights that are not finite are refused before."""
    weights = next(kitchen.store.open(kitchen.nodes["model"]).path.rglob("*.safetensors"))
    save_file(
        {name: torch.full_like(value, math.nan) for name, value in load_file(weights).items()},
        weights,
        {"format": "pt"},
    )
    monkeypatch.setattr(Store, "_wrong", lambda *_: "")  # other bytes than those that were published
    monkeypatch.setattr("data_gen.checkpoints.not_finite", lambda model: "")
    with pytest.raises(
        GateError,
        match=r"reference: problem 'p0': the policy gives its pair log-probabilities of \(nan, nan\); expected ",
    ):
        train(kitchen)


def test_gates(kitchen: Bench) -> None:
    with pytest.raises(
        GateError, match=r"12 of 12 pairs have no log-probabilities of a reference.* The first: problem 'p0', '.*⟦.*⟧'"
    ):
        train(kitchen, name="a", referred=False)
    with pytest.raises(GateError, match="dpo: 0 rows to train on, fewer than min_rows=1"):
        train(kitchen, [], name="b")
    with pytest.raises(
        GateError,
        match=r"dpo: 0 rows to train on, fewer than min_rows=1 \(dropped: 12 over max_length=3 tokens.*"
        r" The first .*: problem 'p0', \d+ tokens, '",
    ):
        train(kitchen, name="c", max_length=3)
    with pytest.raises(ValueError, match="'cross_entropy' reads solutions to imitate, which dpo does not have"):
        train(kitchen, name="d", losses=["dpo", "cross_entropy"])


def test_pairs_of_all_trees_of_a_problem_are_held_out_together(kitchen: Bench) -> None:
    """6 problems of two pairs, each of a tree of its own: a third of the problems is four pairs, none of a problem that
    is trained on."""
    policy = kitchen.policy()
    rows = [replace(pair, tree=i) for i, pair in enumerate(pairs(kitchen))]
    encoded = encode_pairs(rows, policy.codec, 128, vocabulary=policy.model.config.vocab_size).rows
    held = hold_out(encoded, 1 / 3, 0)
    assert len(held) == 4
    assert {rows[i].problem_id for i in held}.isdisjoint(
        {pair.problem_id for i, pair in enumerate(rows) if i not in held}
    )
