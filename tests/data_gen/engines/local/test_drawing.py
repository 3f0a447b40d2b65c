"""Draws against the exact distribution."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from data_gen.engines.local.drawing import draw, uniforms
from tests.data_gen.engines.tiny import ask, engine, model, request

DRAWS = 20_000


def _chi_square(counts: np.ndarray, probs: np.ndarray) -> tuple[float, int]:
    live = probs * counts.sum() >= 5
    expected = probs[live] * counts.sum()
    return float(((counts[live] - expected) ** 2 / expected).sum()), int(live.sum()) - 1


def _nucleus(probs: np.ndarray, top_p: float) -> np.ndarray:
    order = np.argsort(-probs)
    kept = order[: int(np.searchsorted(np.cumsum(probs[order]), top_p)) + 1]
    return np.where(np.isin(np.arange(len(probs)), kept), probs, 0) / probs[kept].sum()


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.6, 1.0), (1.7, 1.0), (1.0, 0.7), (0.8, 0.9)])
def test_draws_follow_the_tempered_truncated_softmax(temperature: float, top_p: float) -> None:
    logits = torch.tensor([2.0, -1.0, 0.3, 1.2, -3.0, 0.9])
    uniform = torch.from_numpy(uniforms(7, DRAWS))
    rows = (logits.expand(DRAWS, -1), uniform, torch.full((DRAWS,), temperature), torch.full((DRAWS,), top_p))
    ids, logprobs = draw(*rows)
    probs = _nucleus((logits.double() / temperature).softmax(-1).numpy(), top_p)
    counts = np.bincount(ids.numpy(), minlength=6)
    statistic, freedom = _chi_square(counts, probs)
    assert statistic < freedom + 5 * np.sqrt(2 * freedom)
    assert not counts[probs == 0].any()
    torch.testing.assert_close(logprobs, logits.log_softmax(-1)[ids])


def test_every_row_follows_its_own_settings() -> None:
    logits = torch.tensor([[1.0, 3.0, 2.0]]).expand(3, -1)
    uniform = torch.full((3,), 0.01, dtype=torch.float64)
    ids, _ = draw(logits, uniform, torch.tensor([0.0, 1.0, 1.0]), torch.tensor([1.0, 1.0, 0.1]))
    assert ids.tolist() == [1, 0, 1]  # greedy; the first slice of the CDF; the one token of the nucleus


def test_extreme_uniforms_never_give_an_impossible_token() -> None:
    logits = torch.tensor([[float("-inf"), 0.0, 0.0, float("-inf")]]).expand(2, -1)
    uniform = torch.tensor([0.0, np.nextafter(1.0, 0.0)], dtype=torch.float64)
    ids, _ = draw(logits, uniform, torch.ones(2), None)
    assert ids.tolist() == [1, 2]


def test_streams_differ_by_seed_and_begin_alike() -> None:
    assert uniforms(3, 4).tolist() == uniforms(3, 9)[:4].tolist()
    assert uniforms(3, 4).tolist() != uniforms(4, 4).tolist()


def test_the_engine_samples_the_models_distribution() -> None:
    prefix = (2, 3, 4)
    [samples] = ask(engine(), request(prefix, tuple(range(4000)), max_tokens=1))
    with torch.no_grad():
        probs = model()(torch.tensor([prefix])).logits[0, -1].double().softmax(-1).numpy()
    statistic, freedom = _chi_square(np.bincount([s.token_ids[0] for s in samples], minlength=len(probs)), probs)
    assert statistic < freedom + 5 * np.sqrt(2 * freedom)
