"""The base of an adapter of the Hub is part of the key: another base is another model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import huggingface_hub
import pytest

from reasoning_train.api.plan import Plan
from reasoning_train.api.stage import GateError
from reasoning_train.store.store import Store
from reasoning_train.worker.run_node import run_node
from tests.reasoning_train.bench import Bench
from tests.reasoning_train.recipe.kitchen import load

ONE, TWO, OURS = ("1" * 40, "2" * 40, "a" * 40)
CLASSIFIER = "kind: classifier, head: {positive: right, read_at: last}"
RECIPE = f"""
    name: adapted
    model: {{hub: me/adapter, revision: {OURS}}}
    task: {{uses: chain, train: 24, explore: 8, dev: 8, test: 8, steps: [1, 2]}}
    stages:
      prm: {{uses: verifier, hub: me/adapter, revision: {OURS}, {CLASSIFIER}}}
      tuned: {{uses: sft, policy: "${{model}}", data: "${{task.train.gold}}", learning_rate: 1e-3, max_steps: 1}}
"""


class Cache:
    """The Hub's cache of this machine, with an adapter that `me/adapter` holds and two commits of its base."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.adapter = self.snapshot("me/adapter", OURS)

    def snapshot(self, repo: str, commit: str) -> Path:
        return self.folder / f"models--{repo.replace('/', '--')}" / "snapshots" / commit

    def main_is(self, repo: str, commit: str) -> None:
        ref = self.folder / f"models--{repo.replace('/', '--')}" / "refs" / "main"
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(commit)

    def names(self, base: str, revision: str | None) -> None:
        """Let the adapter name its base so."""
        config = json.loads((self.adapter / "adapter_config.json").read_text())
        config |= {"base_model_name_or_path": base, "revision": revision}
        (self.adapter / "adapter_config.json").write_text(json.dumps(config))


@pytest.fixture
def cache(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    from peft import LoraConfig, get_peft_model

    bench.model()
    made = bench.policy()
    cache = Cache(tmp_path / "hub")
    for commit in (ONE, TWO):
        shutil.copytree(bench.store.open(bench.nodes["model"]).path / "model", cache.snapshot("org/base", commit))
    cache.main_is("org/base", ONE)
    get_peft_model(made.model, LoraConfig(r=2, target_modules=["q_proj"])).save_pretrained(cache.adapter)  # type: ignore[arg-type]
    made.tokenizer.save_pretrained(cache.adapter)
    cache.names("org/base", None)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache.folder))
    return cache


def keys(plan: Plan) -> list[str]:
    return [plan.nodes[name].key for name in ("model", "prm", "tuned")]


def test_a_base_without_a_commit_is_part_of_the_key(cache: Cache, tmp_path: Path) -> None:
    first = load(tmp_path, RECIPE)
    assert [first.nodes[name].config["base"] for name in ("model", "prm")] == [f"org/base@{ONE}"] * 2
    cache.main_is("org/base", TWO)
    second = load(tmp_path, RECIPE)
    assert second.nodes["model"].asked["base"] == f"org/base@{TWO}"
    assert not {*keys(first)} & {*keys(second)}
    cache.main_is("org/base", ONE)
    assert keys(load(tmp_path, RECIPE)) == keys(first)
    cache.names("org/base", "main")  # a branch moves, too
    assert load(tmp_path, RECIPE).nodes["model"].asked["base"] == f"org/base@{ONE}"


def test_a_folder_below_an_adapter_of_the_hub_is_known_by_its_bytes(cache: Cache, tmp_path: Path) -> None:
    base = shutil.copytree(cache.snapshot("org/base", ONE), tmp_path / "base")
    cache.names(str(base), None)
    first = load(tmp_path, RECIPE)
    (base / "generation_config.json").write_text("{}")
    assert not {*keys(first)} & {*keys(load(tmp_path, RECIPE))}


def test_a_base_with_a_commit_adds_nothing_to_the_key(cache: Cache, tmp_path: Path) -> None:
    """The adapter's own commit says which it is."""
    cache.names("org/base", ONE)
    plan = load(tmp_path, RECIPE)
    assert "base" not in plan.nodes["model"].asked and "base" not in plan.nodes["prm"].asked
    cache.main_is("org/base", TWO)
    assert keys(load(tmp_path, RECIPE)) == keys(plan)


def test_the_stage_takes_the_base_of_its_key_alone(cache: Cache, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    plan = load(tmp_path, RECIPE)
    cache.main_is("org/base", TWO)
    refused = rf"model\.base is org/base@{ONE}, but under the adapter .* there is org/base@{TWO} here\. Run again"
    with pytest.raises(GateError, match=refused):
        run_node(plan, "model", store, report=lambda event: None)
    again = load(tmp_path, RECIPE)
    run_node(again, "model", store, report=lambda event: None)
    assert store.open(again.nodes["model"]).path.is_dir()
    said = load(tmp_path, RECIPE, f"model.base=org/base@{ONE}")
    assert said.nodes["model"].key == plan.nodes["model"].key
    with pytest.raises(GateError, match=refused):
        run_node(said, "model", store, report=lambda event: None)


def test_a_base_that_came_after_the_recipe_was_loaded_is_refused(cache: Cache, tmp_path: Path) -> None:
    shutil.move(cache.folder / "models--org--base", tmp_path / "later")
    plan = load(tmp_path, RECIPE)
    assert plan.nodes["model"].config["base"] is None
    shutil.move(tmp_path / "later", cache.folder / "models--org--base")
    with pytest.raises(GateError, match=rf"model\.base is not known, but .* there is org/base@{ONE} here"):
        run_node(plan, "model", Store(tmp_path / "store"), report=lambda event: None)
