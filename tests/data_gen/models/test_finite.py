"""Weights that are no numbers are named, also where this process holds only shards of them."""

from __future__ import annotations

import pytest
import torch

from data_gen.models.finite import not_finite


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_the_first_weight_that_is_no_number_is_named(value: float) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    assert not_finite(model) == ""
    with torch.no_grad():
        model[1].weight[0, 2] = value
    assert not_finite(model) == "1.weight"


def test_a_shard_is_looked_at_where_the_weight_is_empty() -> None:
    """ZeRO-3 leaves an empty weight with a shard beside it (a whole run: test_equivalence.py)."""
    model = torch.nn.Linear(2, 3, bias=False)
    model.weight.data = torch.empty(0)
    model.weight.ds_tensor = torch.tensor([0.5, 0.25])  # type: ignore[assignment]
    assert not_finite(model) == ""
    model.weight.ds_tensor[1] = float("nan")  # type: ignore[index]
    assert not_finite(model) == "weight"
