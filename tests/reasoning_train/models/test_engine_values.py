"""The in-process engine over a joint model: every kind of head gets what it reads."""

from __future__ import annotations

import pytest
import torch

from data_gen.format import Format, StepCodec
from data_gen.records.scales import Scale
from data_gen.verifiers.heads import HeadConfig
from data_gen.verifiers.value_head import ValueHead
from reasoning_train.models.engine import in_process
from reasoning_train.models.policy import Policy
from tests.data_gen.engines.tiny import VOCAB, ask, model, request, tokenizer

HEADS = [
    HeadConfig(activation="tanh", scale=Scale.SIGNED),
    HeadConfig(kind="two_layer", labels=2),
    HeadConfig(kind="from_vocab", scale=Scale.PROGRESS),
]


@pytest.mark.parametrize("config", HEADS, ids=lambda config: config.kind)
def test_values_are_the_heads_on_what_it_reads(config: HeadConfig) -> None:
    torch.manual_seed(0)
    on_logits = config.kind == "from_vocab"
    head = ValueHead(config, VOCAB if on_logits else 32, init_std=0.3).eval()
    policy = Policy(model(), tokenizer(), Format(), StepCodec(Format(), tokenizer()))
    [samples] = ask(in_process(policy, head=head), request((3, 4, 5), (0, 1, 2), max_tokens=6))
    for sample in samples:
        with torch.no_grad():
            ids = torch.tensor([[3, 4, 5, *sample.token_ids]])
            features = model()(ids).logits if on_logits else model().model(ids).last_hidden_state
            wanted = head(features[:, -1]).item()
        assert sample.value == pytest.approx(wanted, abs=1e-5)
    assert len({sample.value for sample in samples}) > 1
