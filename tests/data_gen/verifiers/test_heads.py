"""The head contract: values by hand, activation once, float32, round trips, and what is refused."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from data_gen.errors import UserError
from data_gen.records.scales import BOUNDS, Scale
from data_gen.records.segment import Kind, Segment
from data_gen.verifiers.head_files import load_head, read_head_config, save_head
from data_gen.verifiers.heads import HeadConfig, step_ends
from data_gen.verifiers.value_head import ValueHead

HEADS = [
    HeadConfig(),
    HeadConfig(activation="tanh", scale=Scale.SIGNED, dropout=0.1),
    HeadConfig(kind="two_layer", activation="none", scale=Scale.RANKING, read_at="last"),
    HeadConfig(kind="two_layer", labels=2, positive=1),
    HeadConfig(activation="none", scale=Scale.RANKING, bias=False, read_at="last"),
    HeadConfig(activation="clip", read_at="every_token"),
    HeadConfig(kind="from_vocab", activation="sigmoid", scale=Scale.PROGRESS, read_at="last"),
    HeadConfig(gain=0.5, offset=-1.0),
    HeadConfig(activation="isotonic", knots=((-1.0, 0.1), (0.5, 0.1), (2.0, 0.9))),
]


def by_hand(config: HeadConfig, weight: list[list[float]], bias: list[float] | None = None) -> ValueHead:
    """A one-layer head with these weights."""
    head = ValueHead(config, len(weight[0])).eval()
    with torch.no_grad():
        head.score.weight.copy_(torch.tensor(weight))
        if bias is not None:
            head.score.bias.copy_(torch.tensor(bias))
    return head


def value(head: ValueHead, *features: float) -> float:
    with torch.no_grad():
        return head(torch.tensor(features)).item()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 1 / (1 + math.exp(-2.0))),
        ({"activation": "tanh", "scale": "signed"}, math.tanh(2.0)),
        ({"activation": "tanh", "scale": "ranking", "gain": 0.2}, math.tanh(0.4)),
        ({"activation": "none", "scale": "ranking"}, 2.0),
        ({"activation": "none", "scale": "odds", "gain": 3.0, "offset": 1.0}, 7.0),
        ({"activation": "clip"}, 1.0),
        ({"activation": "clip", "offset": -1.25}, 0.75),
        ({"activation": "clip", "scale": "signed", "gain": 0.1}, 0.2),
    ],
)
def test_values_by_hand(options: dict[str, Any], expected: float) -> None:
    """Weights (1, -2), bias 0.5 and features (3.5, 1) give the score 2."""
    head = by_hand(HeadConfig(**options), [[1.0, -2.0]], [0.5])
    assert value(head, 3.5, 1.0) == pytest.approx(expected, abs=1e-6)


def test_two_labels_are_a_softmax() -> None:
    head = by_hand(HeadConfig(labels=2, positive=1), [[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0])
    assert value(head, 0.3, 1.7) == pytest.approx(torch.tensor([0.3, 1.7]).softmax(0)[1].item())


def test_one_label_of_three_stands_against_the_others() -> None:
    head = by_hand(HeadConfig(labels=3, positive=1), [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]], [0.0, 0.0, 0.0])
    assert value(head, 0.3, 1.7, -0.4) == pytest.approx(torch.tensor([0.3, 1.7, -0.4]).softmax(0)[1].item())


def test_two_layers_have_a_relu_between() -> None:
    head = ValueHead(HeadConfig(kind="two_layer", activation="none", scale=Scale.RANKING), 2).eval()
    first, _, second = head.score
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        second.weight.copy_(torch.tensor([[10.0, 1.0]]))
    assert value(head, -5.0, 3.0) == 3.0


def test_the_activation_is_applied_once() -> None:
    head = by_hand(HeadConfig(activation="tanh", scale=Scale.SIGNED), [[1.0]], [0.0])
    features = torch.tensor([[2.0]])
    assert head.raw(features).item() == 2.0
    assert torch.equal(head(features), head.raw(features).tanh())


@pytest.mark.parametrize("config", [*HEADS, HeadConfig(labels=3)], ids=str)
def test_a_value_does_not_depend_on_its_company(config: HeadConfig, one_thread: None) -> None:
    """Bitwise, in the multiples of 8 rows that engines decode."""
    torch.manual_seed(0)
    head, states = ValueHead(config, 96, init_std=0.2).eval(), torch.randn(256, 96)
    with torch.inference_mode():
        expected = head(states)
        for rows in (8, 16, 24, 40, 64, 200) * 20:
            chosen = torch.randperm(256)[:rows]
            assert torch.equal(head(states[chosen]), expected[chosen]), rows


@pytest.mark.parametrize("config", HEADS, ids=str)
def test_a_head_survives_saving(config: HeadConfig, tmp_path: Path) -> None:
    torch.manual_seed(0)
    head, features = ValueHead(config, 6, init_std=1.0).eval(), torch.randn(50, 6) * 3
    save_head(head, tmp_path)
    again = load_head(tmp_path)
    assert again.config == config and again.width == 6 and not again.training
    with torch.no_grad():
        values = again(features)
        assert torch.equal(values, head(features))
    low, high = BOUNDS[config.scale]
    assert values.min() >= low and values.max() <= high and values.std() > 0
    assert {path.suffix for path in (tmp_path / "head").iterdir()} == {".json", ".safetensors"}


def test_weights_stay_in_float32() -> None:
    head = ValueHead(HeadConfig(), 4, init_std=1.0)
    before = head.score.weight.clone()
    model = nn.ModuleDict({"backbone": nn.Linear(4, 4), "head": head})
    model.to(torch.bfloat16)
    assert model["backbone"].weight.dtype == torch.bfloat16
    assert head.score.weight.dtype == torch.float32 and torch.equal(head.score.weight, before)
    assert head(torch.ones(3, 4, dtype=torch.bfloat16)).dtype == torch.float32
    with torch.device("meta"):
        empty = ValueHead(HeadConfig(), 4)
    assert empty.to_empty(device="cpu").score.weight.device.type == "cpu"


def test_a_default_dtype_does_not_reach_the_head() -> None:
    torch.set_default_dtype(torch.bfloat16)
    try:
        assert ValueHead(HeadConfig(kind="two_layer"), 4).score[0].weight.dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)


def test_fresh_weights() -> None:
    torch.manual_seed(0)
    wide = ValueHead(HeadConfig(), 10_000, init_std=0.3)
    assert wide.score.weight.std().item() == pytest.approx(0.3, rel=0.05) and wide.score.bias.item() == 0
    tiny = ValueHead(HeadConfig(activation="tanh", scale=Scale.RANKING, init_std=1e-6), 10_000)
    assert tiny.score.weight.std().item() == pytest.approx(1e-6, rel=0.05)
    assert ValueHead(HeadConfig(bias=False, activation="none", scale=Scale.RANKING), 3).score.bias is None


def test_dropout_is_for_training_only() -> None:
    head = by_hand(HeadConfig(activation="none", scale=Scale.ODDS, dropout=0.5), [[1.0] * 100], [0.0])
    assert value(head, *[1.0] * 100) == pytest.approx(100.0)
    torch.manual_seed(0)
    assert value(head.train(), *[1.0] * 100) != pytest.approx(100.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "none"}, "scale 'p' does not go with activation 'none'; expected activation sigmoid or clip"),
        (
            {"activation": "sigmoid", "scale": "signed"},
            "scale 'signed' does not go with activation 'sigmoid'; expected activation tanh or clip",
        ),
        ({"activation": "tanh", "scale": "odds"}, "expected activation none"),
        ({"labels": 2, "positive": 2}, "positive=2 is not one of the 2 labels"),
        ({"gain": 0.0}, "greater than 0"),
        ({"squosh": "tanh"}, "Extra inputs are not permitted"),
    ],
)
def test_heads_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        HeadConfig(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"activation": "tanh", "scale": "signed"},
            "the recipe has activation='sigmoid', the checkpoint has activation='tanh'",
        ),
        ({"scale": "progress"}, "the recipe has scale='p', the checkpoint has scale='progress'"),
        ({"read_at": "last"}, "the recipe has read_at='step_end', the checkpoint has read_at='last'"),
        ({"kind": "two_layer"}, "the recipe has kind='scalar', the checkpoint has kind='two_layer'"),
        ({"gain": 2.0}, "the recipe has gain=1.0, the checkpoint has gain=2.0"),
    ],
)
def test_a_head_is_read_as_it_was_trained(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"Head mismatch: {re.escape(message)}"):
        HeadConfig().check_same(HeadConfig(**options), "the recipe", "the checkpoint")


def test_what_only_concerns_training_may_differ() -> None:
    HeadConfig().check_same(HeadConfig(dropout=0.1, init_std=1e-6), "here", "there")


def test_torn_checkpoints_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no value head \(no head/head\.json\)"):
        load_head(tmp_path)
    save_head(ValueHead(HeadConfig(), 6), tmp_path)
    config, weights = tmp_path / "head" / "head.json", tmp_path / "head" / "head.safetensors"
    whole = config.read_text()
    for edit, message in [
        ({"activation": "relu"}, "is not a valid head config: activation: "),
        (
            {"scale": "odds"},
            "is not a valid head config: as a whole: Value error, scale 'odds' does not go with activation 'sigmoid'",
        ),
    ]:
        config.write_text(json.dumps({**json.loads(whole), **edit}))
        with pytest.raises(UserError, match=re.escape(message)):
            read_head_config(tmp_path)
    config.write_text(json.dumps({**json.loads(whole), "kind": "two_layer"}))
    with pytest.raises(UserError, match="cannot be loaded .* head of kind 'two_layer' with 1 label"):
        load_head(tmp_path)
    config.write_text(whole)
    weights.write_bytes(weights.read_bytes()[:40])
    with pytest.raises(UserError, match=r"head\.safetensors cannot be loaded \(SafetensorError"):
        load_head(tmp_path)


STEPS = (
    Segment(kind=Kind.STEP, text="a\n", token_ids=(4, 5, 6)),
    Segment(kind=Kind.STEP, text="b\n", token_ids=(7,)),
    Segment(kind=Kind.ANSWER, text="Answer: 1", token_ids=(8, 9)),
    Segment(kind=Kind.END, text="", token_ids=(1,)),
)


@pytest.mark.parametrize(
    ("segments", "ends"),
    [
        (STEPS, [2, 3, 6]),
        (STEPS[:3], [2, 3, 5]),
        (STEPS[:1], [2]),
        ((STEPS[3],), [0]),  # nothing but an end
        ((), []),
        ((Segment(kind=Kind.STEP, text="", token_ids=()), STEPS[1]), [0]),
    ],
)
def test_step_ends(segments: tuple[Segment, ...], ends: list[int]) -> None:
    assert step_ends(segments) == ends


def test_the_contract_imports_nothing_heavy() -> None:
    import subprocess
    import sys

    code = (
        "import sys, data_gen.verifiers.heads, data_gen.checkpoints; assert not {'torch', 'transformers', "
        "'safetensors'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_isotonic_values_by_hand_and_what_is_no_function() -> None:
    head = ValueHead(HeadConfig(activation="isotonic", knots=((-1.0, 0.1), (0.0, 0.3), (2.0, 0.9))), 4)
    assert head.activate(torch.tensor([-5.0, -1.0, -0.5, 0.0, 1.0, 2.0, 7.0])).tolist() == pytest.approx(
        [0.1, 0.1, 0.2, 0.3, 0.6, 0.9, 0.9]
    )
    for knots, message in (
        ((), "'isotonic' needs two or more"),
        (((0.0, 0.1), (0.0, 0.2)), "scores must grow"),
        (((0.0, 0.2), (1.0, 0.1)), "values must not fall"),
    ):
        with pytest.raises(ValueError, match=message):
            HeadConfig(activation="isotonic", knots=knots)
    with pytest.raises(ValueError, match="all others none"):
        HeadConfig(knots=((0.0, 0.1), (1.0, 0.2)))
