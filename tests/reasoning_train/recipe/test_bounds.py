"""Numbers of every config: each has a lower bound or a reason to have none, and none may be infinite or huge."""

from __future__ import annotations

import inspect
import math
import re
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from data_gen.tasks.chain import Chain
from data_gen.tasks.reasoning_gym import ReasoningGym
from reasoning_train.recipe.errors import Problems, RecipeError
from reasoning_train.recipe.schema import Recipe
from reasoning_train.recipe.validate import validate
from reasoning_train.stages.model import Architecture
from reasoning_train.stages.sft import SFTConfig
from reasoning_train.trainers.config import Lora
from tests.reasoning_train.recipe.kitchen import SampleConfig as Kitchen
from tests.reasoning_train.recipe.test_asked import CONFIGS

NO_LOWER_BOUND = {
    "ClaimConfig.where": "a tag's value",
    "Contrast.weights": "a difference weighs -1",
    "Contrast.margin": "may be negative, as of any comparison",
    "Abstaining.bar": "of a share, or a score on any scale",
    "BarVote.bar": "on any scale",
    "Difference.margin": "may be negative, as of any comparison",
    "Trend.margin": "may be negative, as of any comparison",
    "Trend.at": "places on an axis",
    "Entropy.weight": "negative raises entropy",
    "Evaluated.where": "a tag's value",
    "Evaluated.tried": "filled in by the program",
    "ForeignHead.offset": "of a linear map",
    "ForeignHead.positive": "checked against the model's labels",
    "HeadConfig.offset": "of a linear map",
    "HeadConfig.knots": "points of a curve",
    "Potential.start": "on any scale",
    "RestMcts.stop_at": "on any scale",
    "VllmConfig.args": "vLLM's own",
    # Checked as a whole, with a message of their own:
    "Chain.steps": "low and high",
    "Chain.operand": "low and high",
    "EvaluateConfig.ks": "within samples",
    "Grammar.length": "low and high",
    "Grammar.states": "low and high",
    "Jsonl.split": "at least 1",
    "Kinship.relations": "low and high",
    "Kinship.test_relations": "low and high",
    "PickProblemsConfig.solved": "low and high",
    "PickProblemsConfig.difficulty": "low and high",
    "PickProblemsConfig.tags": "a tag's value",
}


class Inner(BaseModel):
    rates: list[float] = []


class Numbers(BaseModel):
    """Numbers in every place."""

    rate: float = 0.1
    n: int = 1
    notes: dict[str, float] = {}
    shape: tuple[int, int] = (1, 2)
    inner: Inner = Inner()


OURS = [model for model in CONFIGS if model.__module__.split(".")[0] != Kitchen.__module__.split(".")[0]]


def has_number(hint: Any) -> bool:
    return hint in (int, float) or any(has_number(inner) for inner in get_args(hint))


def numbers() -> dict[str, tuple[type[BaseModel], str]]:
    """`Class.field` -> a config with the field. A field stands once, under the class that defines it."""
    found: dict[str, tuple[type[BaseModel], str]] = {}
    for model in OURS:
        for name, field in model.model_fields.items():
            if has_number(field.annotation):
                owner = next(base for base in model.__mro__ if name in inspect.get_annotations(base))
                found.setdefault(f"{owner.__name__}.{name}", (model, name))
    return found


NUMBERS = numbers()


def test_every_number_has_a_lower_bound_or_a_reason() -> None:
    def bounded(model: type[BaseModel], name: str) -> bool:
        field = model.model_fields[name]
        return bool(re.search(r"\b(Ge|Gt)\(", f"{field.metadata} {field.annotation}"))

    missing = {where for where, (model, name) in NUMBERS.items() if not bounded(model, name)}
    assert missing == NO_LOWER_BOUND.keys()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"rate": math.inf}, "rate: expected a finite number, got inf."),
        ({"rate": math.nan}, "rate: expected a finite number, got nan."),
        ({"n": 10**30}, "n: expected a whole number of at most 64 bits, got 1000000000000000000000000000000."),
        ({"notes": {"a": -math.inf}}, "notes.a: expected a finite number, got -inf."),
        ({"shape": [1, 2**63]}, "shape.1: expected a whole number of at most 64 bits, got 9223372036854775808."),
        ({"inner": {"rates": [0.5, math.nan]}}, "inner.rates.1: expected a finite number, got nan."),
    ],
)
def test_no_number_is_infinite_or_beyond_64_bits(values: dict[str, Any], said: str) -> None:
    problems = Problems({}, "r.yaml")
    assert validate(Numbers, values, "", problems) is None
    with pytest.raises(RecipeError) as refused:
        problems.raise_if_any()
    assert str(refused.value) == f"r.yaml: {said}"


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (Architecture, {"hidden_size": -64}),
        (Architecture, {"heads": 0}),
        (Architecture, {"heads": 3}),
        (Architecture, {"layers": -2}),
        (Architecture, {"layers": 0}),
        (Architecture, {"max_length": -1}),
        (Architecture, {"init_std": 0}),
        (Lora, {"r": -4}),
        (Lora, {"dropout": 1}),
        (SFTConfig, {"adam_beta2": 2}),
        (SFTConfig, {"warmup_steps": -5}),
        (SFTConfig, {"weight_decay": -0.1}),
        (SFTConfig, {"max_length": -1}),
        (SFTConfig, {"save_every": 0}),
        (SFTConfig, {"batch_size": 10**20}),
        (Recipe, {"seed": 2**63}),
        (Recipe, {"seeds": [-1]}),
    ],
)
def test_what_can_only_fail_is_refused_when_a_recipe_loads(model: type[BaseModel], values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        model.model_validate(values)
    [name] = values
    assert any(
        name in (*map(str, error["loc"]), error["msg"].partition(":")[0].removeprefix("Value error, "))
        for error in refused.value.errors()
    )


@pytest.mark.parametrize("split", ["train", "explore", "dev", "test"])
def test_nobody_means_so_many_problems(split: str) -> None:
    with pytest.raises(ValidationError, match="less than or equal to 100000000"):
        Chain.model_validate({split: 10**12})
    if split != "explore":
        with pytest.raises(ValidationError, match="less than or equal to 1000000"):
            ReasoningGym.model_validate({"generator": "chain_sum", split: 10**6 + 1})
