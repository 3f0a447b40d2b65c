"""Packed training is compared with plain forward passes first: what differs is refused and says what to use instead."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as t

from data_gen.engines.local.self_check import engine_problem
from data_gen.errors import UserError
from reasoning_train.packing.batch import collate
from reasoning_train.packing.rows import Row, Trace
from reasoning_train.packing.tree_attention import forest_attention
from reasoning_train.trainers.losses.cross_entropy import CrossEntropy
from reasoning_train.trainers.objective import Objective
from reasoning_train.trainers.reading import read_rows
from reasoning_train.trainers.self_check import best_packing, check_left_padding, check_packing, problem_of
from tests.data_gen.models.shapes import shape

SHAPE = shape(max_position_embeddings=96)
BART = t.BartConfig(
    vocab_size=40,
    d_model=32,
    decoder_layers=2,
    decoder_attention_heads=4,
    decoder_ffn_dim=48,
    max_position_embeddings=96,
)
NEO = t.GPTNeoConfig(
    vocab_size=40,
    hidden_size=32,
    num_layers=2,
    num_heads=4,
    attention_types=[[["global", "local"], 1]],
    window_size=4,
    max_position_embeddings=96,
)
WINDOWED: dict[str, Any] = {**SHAPE, "sliding_window": 4}


def model(config: Any, kind: Any = None) -> Any:
    torch.manual_seed(0)
    made = (kind or t.AutoModelForCausalLM._model_mapping[type(config)])(config).eval()
    with torch.no_grad():
        for weight in made.parameters():
            if weight.dim() > 1:
                weight.normal_(0, 0.3)
    return made


def rows() -> list[Row]:
    """Three rows; the last two begin alike and are longer than the windows here."""
    ids = torch.randint(3, 40, (3, 24), generator=torch.Generator().manual_seed(2)).tolist()
    ids[2] = ids[1][:9] + ids[2][:6]
    return [Row((Trace(tuple(row), (0.0, *[1.0] * (len(row) - 1))),), group="one") for row in ids]


def plain(net: Any) -> list[float]:
    found = []
    for row in rows():
        ids = torch.tensor([row.traces[0].ids])
        with torch.no_grad():
            logprobs = net(input_ids=ids).logits[0, :-1].log_softmax(-1)
        found.append(float(logprobs.gather(-1, ids[0, 1:, None]).sum()))
    return found


def read(net: Any) -> list[float]:
    return [
        *read_rows(Objective(net, [CrossEntropy()]).eval(), rows(), 0, 200, lambda out: out.trace_logprobs.tolist())
    ]


@pytest.mark.parametrize(
    ("config", "packing"),
    [
        (t.LlamaConfig(**SHAPE), "tree"),
        (t.NemotronConfig(**SHAPE), "tree"),  # its layers drop the forest: under a mask
        (t.GptOssConfig(**WINDOWED, head_dim=8, num_local_experts=4), "tree"),  # sinks: under a mask
        (t.MistralConfig(**WINDOWED), "tree"),
        (NEO, "tree"),  # under a mask
        (BART, "none"),  # its decoder ignores positions
    ],
)
def test_rows_are_read_as_plain_ones_with_the_best_packing_that_a_family_has(config: Any, packing: str) -> None:
    net = model(config)
    assert best_packing(net) == packing
    assert read(net) == pytest.approx(plain(net), rel=1e-4)


@pytest.mark.parametrize("packing", ["tree", "sequence"])
def test_packing_that_a_family_computes_wrongly_is_refused_with_what_is_right(packing: Any) -> None:
    objective = Objective(model(BART), [CrossEntropy()])
    refused = rf"packing: '{packing}' .* 'bart' models: .*differ.* Use `packing: none`\."
    with pytest.raises(UserError, match=refused), objective.packed(packing):
        raise AssertionError("entered")
    with objective.packed("none"):
        assert objective.outputs(collate([[row] for row in rows()], 0)).trace_logprobs.tolist() == pytest.approx(
            plain(objective.model), rel=1e-4
        )


def test_rows_packed_by_hand_are_checked_too() -> None:
    objective = Objective(model(BART), [CrossEntropy()])
    with pytest.raises(UserError, match="packing: 'sequence' .*'bart'"):
        objective.outputs(collate([rows()], 0))
    objective.outputs(collate([[row] for row in rows()], 0))


def test_a_forest_that_does_not_arrive_is_no_silent_sharing() -> None:
    net = model(t.NemotronConfig(**SHAPE))
    attention = forest_attention(net, "gather")
    batch = collate([rows()], 0, share=True, attention=attention)
    with pytest.raises(UserError, match="NemotronAttention did not get the forest"):
        net(batch["input_ids"], position_ids=batch["position_ids"], use_cache=False, **attention.arguments(batch))


def test_a_head_that_is_more_than_one_product_is_refused_for_training() -> None:
    ids = {f"{name}_token_id": 1 for name in ("pad", "eos", "bos", "cls", "sep")}
    config = t.ModernBertDecoderConfig(**SHAPE, **ids)
    with pytest.raises(UserError, match="No other packing does; train another model"):
        check_packing(model(config), "sequence")


def test_left_padding_is_for_families_that_take_positions() -> None:
    check_left_padding(model(t.GPT2Config(vocab_size=40, n_embd=32, n_layer=2, n_head=4, n_positions=96)))
    with pytest.raises(UserError, match="TRL pads prompts on the left.*'bart'.*`sft` or `dpo`"):
        check_left_padding(model(BART))


@pytest.mark.parametrize("way", ["none", "sequence", "tree", "forest"])
def test_the_check_finds_a_packing_that_forgets_windows(way: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    config = t.MistralConfig(**{**SHAPE, "sliding_window": 5})
    assert problem_of(t.MistralForCausalLM, config, way) is None
    other = t.MistralConfig(**{**SHAPE, "sliding_window": 6})  # asked about only here
    monkeypatch.setattr("reasoning_train.packing.attention.by_layer_type", lambda config, made: made(None))
    monkeypatch.setattr("reasoning_train.packing.ancestry.Ancestry.sees", _without_window)
    assert "differ" in (problem_of(t.MistralForCausalLM, other, way) or "")


def _without_window(self: Any, queries: torch.Tensor, keys: torch.Tensor, window: int | None) -> torch.Tensor:
    enter, leave, depth = (tensor.flatten() for tensor in (self.enter, self.leave, self.depth))
    return (enter[keys] <= enter[queries]) & (enter[queries] < leave[keys]) & (depth[keys] <= depth[queries])


def test_passes_in_half_precision_are_checked_in_float32() -> None:
    config = t.LlamaConfig(**{**SHAPE, "rms_norm_eps": 1.5e-6})  # asked about only here
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert problem_of(t.LlamaForCausalLM, config, "sequence") is None


@pytest.mark.parametrize(
    "config",
    [
        t.LlamaConfig(**SHAPE),
        t.MistralConfig(**WINDOWED),
        t.Gemma2Config(**WINDOWED, head_dim=8, query_pre_attn_scalar=8, attn_logit_softcapping=5.0),
    ],
)
def test_the_engine_samples_from_a_model_that_trains_on_trees(config: Any) -> None:
    net = model(config)
    with Objective(net, [CrossEntropy()]).packed("tree"):
        assert net.config._attn_implementation == "forest"
        assert engine_problem(type(net), net.config) is None
