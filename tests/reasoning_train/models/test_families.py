"""Every family of the installed transformers: engine, packing and plain forward agree past every limit, or the family
is refused by name when the stage `model` runs."""

from __future__ import annotations

from typing import Any

import pytest
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.utils.logging import is_progress_bar_enabled

from data_gen.engines.local.self_check import engine_problem
from data_gen.errors import UserError
from data_gen.models.agreement import causal_class
from reasoning_train.trainers.family_check import check_family
from reasoning_train.trainers.self_check import problem_of
from tests.reasoning_train.models import families

WAYS = ("none", "sequence", "tree", "forest", "left")
TABLE: dict[str, tuple[str, ...]] = {
    name: fits
    for names, fits in (
        (families.ALL, ("engine", *WAYS)),
        (families.MASKED, ("engine", "none", "sequence", "tree", "left")),
        (families.PADDED, ("none",)),
        (families.NO_ENGINE, WAYS),
        (families.NO_TREES, ("none", "sequence", "left")),
        (families.NO_TRAINING, ("engine", "left")),
        (families.ONLY_PADDED_ON_THE_LEFT, ("left",)),
        (families.NOTHING, ()),
    )
    for name in names.split()
}
FAST = ("bart", "bloom", "codegen", "deepseek_v3", "gemma4_text", "gpt2", "llama4_text", "mamba", "opt", "phi3")
"""Families of the default suite; the others are slow together."""


def config(name: str) -> Any:
    made = families.CONFIGS.get(name, CONFIG_MAPPING[name])
    return causal_class(made())


def fits(name: str) -> tuple[str, ...]:
    kind, found = config(name)
    problems = {"engine": engine_problem(kind, found), **{way: problem_of(kind, found, way) for way in WAYS}}
    return tuple(way for way, problem in problems.items() if problem is None)


@pytest.mark.parametrize("name", FAST)
def test_what_a_family_is_for(name: str) -> None:
    assert fits(name) == TABLE[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TABLE.keys() - {*FAST} - {"gemma4_assistant"}))
def test_what_any_other_family_is_for(name: str) -> None:
    assert fits(name) == TABLE[name]


def test_the_table_has_every_family_of_the_installed_transformers() -> None:
    assert not MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.keys() ^ TABLE.keys()


@pytest.mark.parametrize("name", ["llama", "phi3"])
def test_the_stage_model_has_nothing_to_say_of_most(name: str) -> None:
    assert check_family(CONFIG_MAPPING[name]()) == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mamba", "engine in this process .*'mamba' models: its layers keep a state.*vllm.*server"),
        ("llama4_text", "'llama4_text' models: it has layers of type chunked_attention.*vllm.*server"),
        ("bart", "engine in this process .*'bart' models: log-probabilities differ.*vllm.*server"),
        ("modernbert-decoder", "Training does not compute .*'modernbert-decoder' models: .*another model"),
    ],
)
def test_the_stage_model_refuses_by_name_and_says_what_can(name: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        check_family(CONFIG_MAPPING[name]())


def test_trying_a_family_shows_no_progress(capfd: pytest.CaptureFixture[str]) -> None:
    tried_by_no_other_test = CONFIG_MAPPING["llama"](
        vocab_size=61, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2
    )
    assert check_family(tried_by_no_other_test) == []
    assert capfd.readouterr().err == ""
    assert is_progress_bar_enabled()
