"""Reading piece by piece equals plain forwards, in any company, order and memory, and computes each piece once."""

from __future__ import annotations

import gc
import random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.engines.local.slot_cache import column_bytes, layer_shapes
from data_gen.records.scales import Scale
from data_gen.verifiers import stepwise
from data_gen.verifiers.checkpoint import Verifier
from data_gen.verifiers.heads import HeadConfig
from data_gen.verifiers.reading import Readout
from data_gen.verifiers.stepwise import Stepwise, can_read_stepwise
from tests.data_gen.verifiers.test_forward import check, readings, trees
from tests.data_gen.verifiers.tiny import CONTEXT, config, verifier


def watched(v: Verifier) -> list[int]:
    """Real tokens of every forward from now on (the tests' ids are never 0)."""
    seen: list[int] = []
    v.backbone.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(int((kwargs["input_ids"] != 0).sum())), with_kwargs=True
    )
    return seen


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
@pytest.mark.parametrize(
    "head",
    [
        HeadConfig(),
        HeadConfig(kind="two_layer", labels=2, positive=1),
        HeadConfig(kind="from_vocab", activation="none", scale=Scale.RANKING),
    ],
    ids=str,
)
def test_values_equal_plain_forwards(family: str, head: HeadConfig) -> None:
    v, asked = verifier(head, family=family), trees(60) + readings(10)
    check(v, asked, Stepwise(v).values(asked))


LONG = {"max_position_embeddings": 1024, "head_dim": 32}


def long_path(seed: int) -> tuple[tuple[int, ...], list[int]]:
    """Ids and cuts of a path of some 900 tokens, in pieces of 17 to 24."""
    rng, cuts = random.Random(seed), [31]
    while cuts[-1] < 900:
        cuts.append(cuts[-1] + rng.randint(17, 24))
    return tuple(rng.randrange(2, 60) for _ in range(cuts[-1])), cuts


def test_a_piece_beside_longer_ones_changes_no_bit(one_thread: None) -> None:
    """Two paths, one at twice the depth of the other: masked columns of every width at which sums are halved."""
    v, (ids, cuts), (others, cuts_of) = verifier(shape=LONG), long_path(0), long_path(1)
    whole = Readout(ids, tuple(cut - 1 for cut in cuts), tuple(cuts))
    alone = Stepwise(v).values([whole])
    check(v, [whole], alone)
    step = Stepwise(v)
    for i in range(1, len(cuts) // 2):
        part = Readout(ids[: cuts[i]], (cuts[i] - 1,), tuple(cuts[: i + 1]))
        beside = Readout(others[: cuts_of[2 * i]], (0,), tuple(cuts_of[: 2 * i + 1]))
        assert step.values([beside, part])[1] == (alone[0][i],)


def test_a_piece_inside_a_longer_one_changes_no_bit(one_thread: None) -> None:
    v, (ids, _) = verifier(shape=LONG), long_path(0)
    lengths = [5, 20, 31, 40, 70, 130, 200, 300]
    parts = [Readout(ids[:n], (n - 1,), cuts) for n in lengths for cuts in ((n,), (4, n))]
    alone = [Stepwise(v).values([part])[0] for part in parts]
    step = Stepwise(v)
    step.values([Readout(ids, (0,), (len(ids),)), Readout(ids, (0,), (4, len(ids)))])
    assert step.values(parts) == alone


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([CONTEXT + 32, 400, 10**5]), st.integers(1, 40))
def test_company_order_and_memory_change_no_bit(seed: int, capacity: int, size: int) -> None:
    torch.set_num_threads(1)
    v, asked = verifier(), trees(40, seed)
    alone = {reading: Stepwise(v).values([reading])[0] for reading in dict.fromkeys(asked[:10])}
    step, order = Stepwise(v, capacity=capacity), random.Random(seed).sample(asked, len(asked))
    found: dict[Readout, Any] = {}
    for at in range(0, len(order), size):
        found |= zip(order[at : at + size], step.values(order[at : at + size]), strict=True)
    assert {reading: found[reading] for reading in alone} == alone


def test_every_piece_is_computed_once() -> None:
    v = verifier()
    step = Stepwise(v)  # it tries the model once
    tokens = watched(v)
    prompt, first, second = tuple(range(2, 12)), (20, 21, 22), (30, 31, 32, 33)
    root = Readout(prompt, (9,), (10,))
    one = Readout(prompt + first, (12,), (10, 13))
    two = Readout(prompt + second, (13,), (10, 14))
    below = Readout(prompt + first + second, (12, 16), (10, 13, 17))
    step.values([root, root])
    step.values([one, two])
    step.values([below, below, one])
    assert tokens == [10, 7, 4]
    assert step.values([below])[0][0] == step.values([one])[0][0]
    assert len(tokens) == 3


def test_another_cut_is_another_piece() -> None:
    """Equal ids are not shared where forwards of another shape computed them, only kept apart."""
    v = verifier()
    ids = tuple(range(2, 32))
    step = Stepwise(v)
    values = [step.values([Readout(ids, (29,), cuts)])[0][0] for cuts in ((10, 30), (10, 15, 30), (30,), (10, 30))]
    assert values[0] == values[3] and values == pytest.approx([values[0]] * 4, abs=1e-5)


def test_what_a_program_read_goes_with_it() -> None:
    class Owner:
        pass

    v, step = verifier(), None
    step = Stepwise(v)
    owners = [Owner(), Owner()]
    mine, theirs = (
        Readout(tuple(range(a, a + 20)), (19,), (20,), owner) for a, owner in zip((2, 30), owners, strict=True)
    )
    step.values([mine, theirs])
    assert step._store.stored == 40
    del mine, owners[0]
    gc.collect()
    step.values([theirs])
    assert step._store.stored == 20


def test_a_failed_forward_leaves_nothing_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    v = verifier()
    step, asked = Stepwise(v, capacity=CONTEXT + 32), trees(20)
    expected = Stepwise(v).values(asked)
    with monkeypatch.context() as patch:
        patch.setattr(step, "_behind", lambda *_: (_ for _ in ()).throw(RuntimeError("broken")))
        with pytest.raises(RuntimeError, match="broken"):
            step.values(asked)
    assert step.values(asked) == expected
    assert step._store.make_room(step._capacity)


def test_memory_bounds_forwards(monkeypatch: pytest.MonkeyPatch) -> None:
    v = verifier()
    asked = trees(60)
    expected, rows = Stepwise(v).values(asked), []
    monkeypatch.setattr(stepwise, "TOKENS", 256)
    v.backbone.register_forward_pre_hook(
        lambda module, args, kwargs: rows.append(kwargs["input_ids"].shape), with_kwargs=True
    )
    assert Stepwise(v).values(asked) == expected
    assert max(n * width for n, width in rows) <= 256


@pytest.mark.parametrize(
    ("family", "shape", "possible"),
    [
        ("llama", {}, True),
        ("qwen2", {}, True),
        ("qwen2", {"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 1}, False),
        ("mistral", {"sliding_window": 16}, False),
        ("mistral", {"sliding_window": None}, True),
        ("mistral", {"sliding_window": 4096}, True),
        ("olmo", {}, False),
    ],
)
def test_who_can_be_read_so(family: str, shape: dict[str, Any], possible: bool) -> None:
    from transformers import AutoModel, MistralConfig, OlmoConfig

    kinds = {"mistral": MistralConfig, "olmo": OlmoConfig}
    small = {
        "vocab_size": 80,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    made = (
        kinds[family](**small, num_key_value_heads=2, max_position_embeddings=CONTEXT, **shape)
        if family in kinds
        else config(family, **shape)
    )
    backbone = AutoModel.from_config(made).eval()
    assert can_read_stepwise(backbone) == possible
    assert column_bytes(layer_shapes(backbone), backbone.dtype) == 2 * 2 * 32 * 4 * made.num_key_value_heads // 4
