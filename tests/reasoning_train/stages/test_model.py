"""`model`: its sources and what is said where one is missing."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from data_gen.errors import UserError
from data_gen.tasks.chain import Chain
from reasoning_train.api.stage import GateError
from reasoning_train.models.policy import load_policy
from reasoning_train.stages.model import ModelConfig, model
from tests.reasoning_train.bench import MODEL, Bench


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "give exactly one of init, path, hub, gguf, served; got none"),
        ({"path": "/x", "hub": "a/b"}, "give exactly one of init, path, hub, gguf, served; got path, hub"),
        (MODEL, "needs `tokenizer: task` and a task with a closed vocabulary"),
        ({"init": {"hiden_size": 3}, "vocabulary": ["a"]}, "Extra inputs are not permitted"),
    ],
)
def test_configurations_that_name_no_model(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        ModelConfig.model_validate(config)


def test_a_fresh_model_has_the_size_that_the_plan_estimates(bench: Bench) -> None:
    bench.model()
    artifact = bench.store.open(bench.nodes["model"])
    policy = load_policy(artifact.path / "model")
    assert artifact.manifest["metrics"]["parameters"] == sum(p.numel() for p in policy.model.parameters())
    vocabulary = Chain(uses="chain").vocabulary()
    assert model.estimator is not None
    estimate = model.estimator(ModelConfig.model_validate({**MODEL, "vocabulary": vocabulary}), lambda ref: {})
    assert estimate["parameters"] == pytest.approx(artifact.manifest["metrics"]["parameters"], rel=0.02)
    assert policy.model.config.tie_word_embeddings
    assert json.loads((artifact.path / "model" / "format.json").read_text())["task"]["answer_mark"] == "Answer: "


def test_a_saved_model_has_the_size_that_its_files_tell(bench: Bench, tmp_path: Path) -> None:
    bench.model()
    made = bench.store.open(bench.nodes["model"])
    size = made.manifest["metrics"]["parameters"]
    assert model.estimator is not None
    assert model.estimator(ModelConfig(path=made.path / "model"), lambda ref: {}) == {"parameters": size}
    assert bench.make("again", "model", path=str(made.path / "model")).manifest["metrics"]["parameters"] == size
    torn = tmp_path / "model.safetensors"
    torn.write_bytes((made.path / "model" / "model.safetensors").read_bytes()[:40])
    assert model.estimator(ModelConfig(path=tmp_path), lambda ref: {}) == {}
    torn.write_bytes((2**63 - 1).to_bytes(8, "little") + b"{}")  # a header of more bytes than there are
    assert model.estimator(ModelConfig(path=tmp_path), lambda ref: {}) == {}
    torn.unlink()
    assert model.estimator(ModelConfig(path=tmp_path), lambda ref: {}) == {}
    assert model.estimator(ModelConfig(gguf="no_such_package/x.gguf"), lambda ref: {}) == {}


def test_fresh_weights_follow_the_seed(bench: Bench) -> None:
    words = Chain(uses="chain").vocabulary()
    first, again, other = (
        (
            bench.make(name, "model", seed=seed, **MODEL, vocabulary=words).path / "model" / "model.safetensors"
        ).read_bytes()
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == again != other


def test_a_missing_gguf_package_or_file_is_named(bench: Bench) -> None:
    with pytest.raises(UserError, match="model.gguf: the Python package 'no_such_package' is not installed"):
        bench.make("a", "model", gguf="no_such_package/x.gguf")
    with pytest.raises(UserError, match=re.escape("model.gguf: 'pytest' holds no file 'x.gguf'; it has [].")):
        bench.make("b", "model", gguf="pytest/x.gguf")


def test_a_folder_without_whole_files_is_refused_at_once(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no \*\.safetensors"):
        bench.make("a", "model", path=str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(GateError, match=r"model: .*model\.safetensors is torn \(0 bytes .*\)\. Bring a whole copy\."):
        bench.make("torn", "model", path=str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    with pytest.raises(
        UserError, match=r"cannot be read .* whole\. Bring the missing or torn files there, or name another model\."
    ):
        bench.make("b", "model", path=str(tmp_path))
    assert (tmp_path / "config.json").exists()


def test_a_tokenizer_that_backtracks_for_ever_is_refused_by_all_that_bring_one(bench: Bench, tmp_path: Path) -> None:
    bench.model()
    shutil.copytree(bench.store.open(bench.nodes["model"]).path / "model", tmp_path / "m")
    told = json.loads((tmp_path / "m" / "tokenizer.json").read_text())
    told["normalizer"] = {"type": "Replace", "pattern": {"Regex": "(x+x+)+y"}, "content": "x"}
    (tmp_path / "m" / "tokenizer.json").write_text(json.dumps(told))
    folder, head = str(tmp_path / "m"), {"positive": "correct", "read_at": "step_end"}
    for field, uses, config in (
        ("model", "model", {"path": folder}),
        ("model.tokenizer", "model", {"served": "theirs", "tokenizer": folder, "context": 64}),
        ("verifier", "verifier", {"path": folder, "kind": "classifier", "head": head}),
    ):
        with pytest.raises(UserError, match=rf"^{field}: {folder}/tokenizer\.json cannot be used: .*retry-limit"):
            bench.make(f"of_{field}", uses, **config)


def test_a_folder_without_the_tokenizer_of_a_served_model_is_named(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"^model\.tokenizer: the tokenizer in {tmp_path} cannot be loaded \(\w+: "):
        bench.make("a", "model", served="theirs", tokenizer=str(tmp_path), context=64)


def test_a_hub_model_that_was_not_fetched_is_named(bench: Bench) -> None:
    with pytest.raises(
        UserError,
        match="model.hub: 'nobody/nothing' at v1 is not on this machine. `reasoning-train fetch RECIPE` brings it",
    ):
        bench.make("a", "model", hub="nobody/nothing", revision="v1")


def test_a_family_that_is_computed_wrongly_here_is_refused_before_anything_is_made_with_it(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import BartConfig, BartForCausalLM

    bench.model()
    folder = bench.store.open(bench.nodes["model"]).path / "model"
    known = json.loads((folder / "config.json").read_text())
    config = BartConfig(
        vocab_size=known["vocab_size"],
        d_model=16,
        decoder_layers=2,
        decoder_attention_heads=2,
        decoder_ffn_dim=16,
        eos_token_id=known["eos_token_id"],
        pad_token_id=known["pad_token_id"],
    )
    BartForCausalLM(config).save_pretrained(tmp_path)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / file).write_bytes((folder / file).read_bytes())
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": 1, "do_sample": false, "temperature": 0.6}')
    with pytest.raises(UserError, match="model: The engine in this process .*'bart'.*vllm.*`self_check: tell`"):
        bench.make("bart", "model", path=str(tmp_path))
    bench.make("told", "model", path=str(tmp_path), self_check="tell")
    said = capsys.readouterr().out
    assert "'bart' models: log-probabilities differ" in said
    assert "leave out temperature of generation_config.json" in said
