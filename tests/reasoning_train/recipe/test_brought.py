"""A model that one recipe publishes and another loads brings what it learned from along: evaluated problems are not
hidden by publishing what was trained on them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import huggingface_hub
import pytest
import yaml

from reasoning_train.api.plan import Plan
from reasoning_train.recipe.errors import RecipeError
from reasoning_train.store.plan_json import plan_from_json, plan_to_json
from reasoning_train.store.provenance import provenance_of
from reasoning_train.store.store import Store
from reasoning_train.worker.run_node import run_node
from tests.reasoning_train.recipe.kitchen import load

TASK = "task: {uses: chain, train: 24, explore: 8, dev: 8, test: 8, steps: [1, 2]}"
TRAINING = "learning_rate: 1e-3, max_steps: 1"
FIRST = f"""
    name: first
    model: {{init: {{hidden_size: 32, layers: 1, heads: 2, intermediate_size: 64, max_length: 128}}, tokenizer: task}}
    {TASK}
    stages:
      fair: {{uses: sft, policy: "${{model}}", data: "${{task.train.gold}}", {TRAINING}}}
      half: {{uses: part, problems: "${{task.explore}}", part: 1, of: 2}}
      half_gold: {{uses: gold, problems: "${{stages.half}}"}}
      half_way: {{uses: sft, policy: "${{stages.fair}}", data: "${{stages.half_gold}}", {TRAINING}, lora: {{r: 2}},
        adapter: keep}}
      bound: {{uses: sft, policy: "${{stages.fair}}", data: "${{task.test.gold}}", allow_test: "a bound --- and so on",
        {TRAINING}}}
"""
NOTE = (
    "bound trains on problems of the split 'test': task.test -> task.test.gold -> bound; the recipe allows it: "
    "a bound --- and so on"
)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The models of the first recipe, made in earnest."""
    home = tmp_path_factory.mktemp("first")
    plan, store = load(home, FIRST), Store(home / "store")
    for name in plan.nodes:
        run_node(plan, name, store, report=lambda event: None)
    return {name: store.open(plan.nodes[name]).path / "model" for name in ("fair", "half_way", "bound")}


def second(folder: Path, model: str, *stages: str, task: str = TASK, top: str = "") -> Plan:
    """A recipe that measures a model of the first one and trains it on."""
    text = f"""
    name: second
    {top}
    model: {{{model}}}
    {task}
    stages:
      more: {{uses: sft, policy: "${{model}}", data: "${{task.train.gold}}", {TRAINING}}}
      eval: {{uses: evaluate, policies: {{base: "${{model}}", more: "${{stages.more}}"}}, problems: "${{task.test}}"}}
      """
    return load(folder, text + "\n      ".join(stages) + "\n")


def refusal(folder: Path, *arguments: str, **more: str) -> str:
    with pytest.raises(RecipeError) as caught:
        second(folder, *arguments, **more)
    return str(caught.value)


ELSEWHERE = "model.path: 'model' was made elsewhere of "
CLAIMED = (
    'eval_too: {uses: evaluate, policies: {base: "${model}", more: "${stages.more}"}, problems: PROBLEMS}',
    'claim: {uses: claim, table: "${stages.eval_too}", form: {uses: difference, better: more, than: base}}',
)


def claimed(problems: str) -> list[str]:
    return [stage.replace("PROBLEMS", f'"${{{problems}}}"') for stage in CLAIMED]


def test_a_model_of_test_problems_is_refused(published: dict[str, Path], tmp_path: Path) -> None:
    """Also where its folder was copied alone."""
    copy = shutil.copytree(published["bound"], tmp_path / "fresh")
    for path in (published["bound"], copy):
        said = refusal(tmp_path, f"path: {path}")
        assert f"{ELSEWHERE}problems of the split 'test', as the card of the model that `path` names says" in said


def test_a_reason_lets_it_pass_and_the_first_one_is_repeated_too(published: dict[str, Path], tmp_path: Path) -> None:
    plan = second(tmp_path, f"path: {published['bound']}", top="allow_test: on purpose")
    here = "model was made elsewhere of problems of the split 'test', as the card of the model that `path` names says"
    for name in ("model", "more", "eval"):
        assert plan.nodes[name].notes == (NOTE, f"{here}; the recipe allows it: on purpose")
    assert plan_from_json(json.loads(json.dumps(plan_to_json(plan)))) == plan


def test_problems_that_taught_it_may_not_be_measured_by_a_claim(published: dict[str, Path], tmp_path: Path) -> None:
    fair = f"path: {published['fair']}"
    plan = second(tmp_path, fair, *claimed("task.dev"))
    assert all(node.notes == () for node in plan.nodes.values())
    said = refusal(tmp_path, fair, *claimed("task.train"))
    assert f"{ELSEWHERE}problems on which a claim is measured (task.train -> eval_too -> claim)" in said


def test_a_source_whose_test_split_holds_them_is_known(published: dict[str, Path], tmp_path: Path) -> None:
    """One file under two names, and dealt in another way."""
    rows = [{"question": f"What is {i} + {i}?", "answer": 2 * i} for i in range(10)]
    for name in ("rows.jsonl", "copy.jsonl"):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    card = shutil.copytree(published["fair"], tmp_path / "mine") / "README.md"
    mine = second(tmp_path, f"path: {published['fair']}", task=jsonl("rows", "{train: 4, dev: 2, test: 4}"))
    front = {"reasoning_train": {"learned_from": list(mine.nodes["more"].lessons), "notes": []}}
    card.write_text(f"---\n{yaml.safe_dump(front)}---\n")
    assert str(tmp_path) not in card.read_text()
    model = f"path: {tmp_path / 'mine'}"
    assert second(tmp_path, model, task=jsonl("copy", "{train: 4, dev: 2, test: 4}")).nodes
    said = refusal(tmp_path, model, task=jsonl("copy", "{train: 2, test: 4}"))
    assert f"{ELSEWHERE}problems of a source that is also the split task.test" in said


def jsonl(name: str, split: str) -> str:
    return f"task: {{uses: jsonl, path: {name}.jsonl, split: {split}}}"


def test_parts_of_problems_are_told_apart_and_the_base_of_an_adapter_counts(
    published: dict[str, Path], tmp_path: Path
) -> None:
    rest = 'rest: {uses: part, problems: "${task.explore}", part: PART, of: 2}'
    half = f"path: {published['half_way']}"
    assert second(tmp_path, half, rest.replace("PART", "2"), *claimed("stages.rest")).nodes
    said = refusal(tmp_path, half, rest.replace("PART", "1"), *claimed("stages.rest"))
    assert "problems on which a claim is measured (task.explore -> rest -> eval_too -> claim)" in said
    bare = shutil.copytree(published["half_way"], published["half_way"].parent / "bare")  # beside its base
    (bare / "README.md").unlink()
    assert {rows.split for rows in provenance_of(bare).lessons} == {"train"}


def test_what_is_trained_on_tells_of_both(published: dict[str, Path], tmp_path: Path) -> None:
    task = TASK.replace("train: 24", "train: 32")
    nodes = second(tmp_path, f"path: {published['fair']}", task=task).nodes
    assert [json.loads(one["source"])["train"] for one in nodes["model"].lessons] == [24]
    assert [json.loads(one["source"])["train"] for one in nodes["more"].lessons] == [24, 32]


def test_a_model_of_the_hub_is_known_by_its_card(
    published: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    commit, _ = on_hub("bound", published["bound"], tmp_path)
    said = refusal(tmp_path, f"hub: me/bound, revision: {commit}")
    assert "model.hub: 'model' was made elsewhere of problems of the split 'test'" in said


def test_the_base_of_an_adapter_of_the_hub_counts_where_the_adapter_has_no_card(
    published: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    on_hub("bound", published["bound"], tmp_path)
    commit, adapter = on_hub("adapter", published["half_way"], tmp_path)
    (adapter / "README.md").unlink()
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": "me/bound"}))
    said = refusal(tmp_path, f"hub: me/adapter, revision: {commit}")
    assert "model.hub: 'model' was made elsewhere of problems of the split 'test'" in said


def on_hub(name: str, model: Path, home: Path) -> tuple[str, Path]:
    """A commit of `me/NAME` in the local cache below `home`, and its folder."""
    cache, commit = home / "hub" / f"models--me--{name}", "c0ffee" + "0" * 34
    folder = shutil.copytree(model, cache / "snapshots" / commit)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit)
    return commit, folder


def test_a_damaged_card_is_told_and_that_of_others_says_nothing(published: dict[str, Path], tmp_path: Path) -> None:
    card = shutil.copytree(published["fair"], tmp_path / "mine") / "README.md"
    whole = card.read_text()
    for said in ("learned_from: 3", "learned_from: [{source: a}]", "notes: [3]"):
        card.write_text(f"---\nreasoning_train: {{{said}}}\n---\n")
        message = refusal(tmp_path, f"path: {card.parent}")
        assert f"{card} is damaged: what it says of the problems that the model learned from cannot" in message
    for theirs in ("", "no card", "---\nlicense: mit\n---\n", "---\n[1\n---\n"):
        card.write_text(theirs)
        assert provenance_of(card.parent).lessons == ()
    card.write_text(whole.replace("learned_from:", "learned_from: ]", 1))
    assert f"{card} is damaged: what it says of the problems" in refusal(tmp_path, f"path: {card.parent}")
    card.write_text(whole)
    assert len(provenance_of(card.parent).lessons) == 1
