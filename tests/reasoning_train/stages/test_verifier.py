"""`verifier`, and searches that score with one: through the stages, mismatches refused before anything is drawn."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from data_gen.checkpoints import load_format
from data_gen.errors import UserError
from data_gen.records.scales import Scale
from data_gen.verifiers.checkpoint import save_verifier
from data_gen.verifiers.foreign import QWEN_PRM_TEXT
from data_gen.verifiers.head_files import read_head_config, save_head
from data_gen.verifiers.heads import HeadConfig
from data_gen.verifiers.value_head import ValueHead
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import GateError
from reasoning_train.stages.verifier import VerifierConfig
from tests.data_gen.verifiers.foreign_models import classifier, qwen_prm
from tests.data_gen.verifiers.tiny import verifier
from tests.reasoning_train.bench import Bench, problem, rows_of

CLASSIFIER: dict[str, Any] = {"kind": "classifier", "head": {"positive": "right", "read_at": "step_end"}}
MCTS: dict[str, Any] = {
    "uses": "mcts",
    "simulations": 3,
    "outcome_weight": 0.0,
    "max_length": 40,
    "expand": {"n": 2, "max_tokens": 12},
    "scale": "p",
}


@pytest.fixture
def world(bench: Bench, one_thread: None) -> Bench:
    """An untrained policy `model` and two problems `few`."""
    bench.model()
    bench.problems("few", [problem("a"), problem("b", question="Ben has 3 coins. How many has Ben?", gold="3")])
    return bench


def grown(world: Bench, name: str = "trees", **config: Any) -> list[dict[str, Any]]:
    base: dict[str, Any] = {"policy": Ref("model"), "problems": Ref("few"), "search": MCTS, "scorer": {"uses": "head"}}
    return rows_of(world.make(name, "search", **{**base, **config}))


def test_trees_are_scored_by_a_verifier(world: Bench) -> None:
    rows = grown(
        world,
        verifier=world.verifier(head=HeadConfig(activation="tanh", scale=Scale.SIGNED).model_dump(mode="json")),
        search={**MCTS, "scale": "signed"},
    )
    key = world.nodes["verifier"].key
    assert {row["scorer"] for row in rows} == {f"head:{key[:12]}"} and {row["scale"] for row in rows} == {"signed"}
    values = [row["value"] for row in rows]
    assert all(-1 <= value <= 1 for value in values) and len(set(values)) > len(rows) / 2
    assert all(row["scored_tokens"] > 0 for row in rows)


def test_a_value_does_not_depend_on_the_trees_around_it(world: Bench) -> None:
    world.verifier()
    both = grown(world, verifier=Ref("verifier"), trees=3)
    world.problems("one", [problem("b", question="Ben has 3 coins. How many has Ben?", gold="3")])
    alone = grown(world, "alone", verifier=Ref("verifier"), trees=3, problems=Ref("one"))
    assert [row for row in both if row["problem_id"] == "b"] == alone


def test_a_verifier_of_another_format_is_refused(world: Bench) -> None:
    other = world.verifier(task_format={"answer_mark": "So: "})
    with pytest.raises(
        UserError, match="Format mismatch: the verifier has answer_mark='So: ', the policy has answer_mark='Answer: '"
    ):
        grown(world, verifier=other)


def test_a_head_of_another_scale_is_refused(world: Bench) -> None:
    ranking = world.verifier(head={"activation": "none", "scale": "ranking"})
    with pytest.raises(UserError, match="Head mismatch: scorer.head has scale='p', the checkpoint has scale='ranking'"):
        grown(world, verifier=ranking, scorer={"uses": "head", "scale": "p"})
    with pytest.raises(UserError, match="A value of scale 'ranking' cannot be read as 'p'"):
        grown(world, "again", verifier=ranking)


def test_nan_is_named(world: Bench) -> None:
    with pytest.raises(
        UserError, match=r"scorer head:\w{12} on problem '[ab]' gave the value nan, which is not on scale 'p'"
    ):
        grown(world, verifier=world.verifier(nan=True))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"scorer": {"uses": "head"}}, "verifier: scorer 'head' reads a checkpoint"),
        ({"scorer": {"uses": "rollouts"}}, "gold: 'rollouts' needs outcomes"),
        ({"scorer": {"uses": "self_evaluation", "show_gold": True}}, "gold: 'self_evaluation' needs outcomes"),
        ({"scorer": {"uses": "oracle", "amount": -1.0}}, "greater than or equal to 0"),
    ],
)
def test_what_a_scorer_lacks_is_said_before_anything_runs(world: Bench, config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        grown(world, **config)


@pytest.mark.parametrize(
    "scorer",
    [
        {"uses": "likelihood"},
        {"uses": "self_evaluation", "options": ["1", "2"]},
        {"uses": "self_evaluation", "options": ["1", "2"], "show_gold": True},
        {"uses": "rollouts", "m": 2, "max_length": 20},
        {"uses": "exact_steps"},
        {"uses": "oracle"},
    ],
    ids=str,
)
def test_every_scorer_runs_in_a_stage(world: Bench, scorer: dict[str, Any]) -> None:
    ranks = {"uses": "beam", "beams": 2, "scale": "ranking", "max_length": 40, "expand": MCTS["expand"]}
    rows = grown(
        world,
        search=ranks if scorer["uses"] == "likelihood" else MCTS,
        scorer=scorer,
        gold=scorer["uses"] != "likelihood",
    )
    assert {re.split(r"\W", row["scorer"])[0] for row in rows} == {scorer["uses"]}
    scored = [
        row for row in rows if row["source"] == "policy" and (row["parent"] >= 0 or scorer["uses"] != "likelihood")
    ]
    assert all(row["value"] is not None for row in scored if row["terminal"] in ("", "answer"))


def test_a_model_may_judge(world: Bench) -> None:
    """Any by its likelihoods, a joint one by its value head."""
    ranks = {"uses": "beam", "beams": 2, "scale": "ranking", "max_length": 40, "expand": MCTS["expand"]}
    world.model("judge")
    assert {
        row["scorer"] for row in grown(world, verifier=Ref("judge"), search=ranks, scorer={"uses": "likelihood"})
    } == {f"likelihood:{world.nodes['judge'].key[:12]}"}
    with pytest.raises(UserError, match="holds no value head"):
        grown(world, "no", verifier=Ref("judge"))
    folder = world.store.open(world.nodes["judge"]).path / "model"
    save_head(ValueHead(HeadConfig(), 32, init_std=1.0), folder)
    assert len({row["value"] for row in grown(world, "joint", verifier=Ref("judge"))}) > 3


def test_a_joint_policy_values_its_own_steps(world: Bench) -> None:
    """The engine's values equal those of the same model read as a verifier, and cost no token."""
    torch.manual_seed(0)
    head = ValueHead(HeadConfig(activation="tanh", scale=Scale.SIGNED), 32, init_std=1.0)
    save_head(head, world.store.open(world.nodes["model"]).path / "model")
    search = {**MCTS, "scale": "signed"}
    free = grown(world, search=search, scorer={"uses": "joint", "scale": "signed"})
    read = grown(world, "read", search={"uses": "mcts", **search, "simulations": 1}, verifier=Ref("model"))
    assert {row["scorer"] for row in free} == {f"joint:{world.nodes['model'].key[:12]}"}
    assert {row["scored_tokens"] for row in free} == {0} and free[0]["value"] == 0.0
    values = {(row["problem_id"], *row["token_ids"]): row["value"] for row in free if row["depth"] == 1}
    twins = [
        (row["value"], values[key])
        for row in read
        if row["depth"] == 1 and (key := (row["problem_id"], *row["token_ids"])) in values
    ]
    assert len(twins) >= 4 and all(a == pytest.approx(b, abs=1e-5) for a, b in twins)
    assert len({value for value in values.values()}) >= 4


def test_values_come_from_this_process_only(world: Bench) -> None:
    with pytest.raises(
        ValueError, match="engine: scorer 'joint' needs values that only `uses: transformers` gives with its tokens"
    ):
        grown(world, scorer={"uses": "joint"}, engine={"uses": "openai", "base_url": "http://127.0.0.1:1/v1"})


def test_a_joint_policy_needs_a_head(world: Bench) -> None:
    with pytest.raises(UserError, match="scorer.joint reads the policy's own values, but the policy has no value head"):
        grown(world, scorer={"uses": "joint"})


def test_a_classifier_from_a_folder(world: Bench, tmp_path: Path) -> None:
    classifier(tmp_path / "there")
    artifact = world.make("prm", "verifier", path=str(tmp_path / "there"), **CLASSIFIER)
    folder = artifact.path / "verifier"
    assert {path.name for path in folder.iterdir()} == {"README.md", "external.json", "format.json", "head"}
    assert read_head_config(folder) == HeadConfig(labels=2, positive=1)
    assert artifact.manifest["metrics"]["head"]["scale"] == "p"
    assert grown(world, verifier=Ref("prm"))


def test_qwen_prm_reads_its_own_text(world: Bench, tmp_path: Path) -> None:
    qwen_prm(tmp_path / "there")
    artifact = world.make("prm", "verifier", path=str(tmp_path / "there"), kind="qwen_prm")
    assert load_format(artifact.path / "verifier").model == QWEN_PRM_TEXT
    rows = grown(world, verifier=Ref("prm"))
    assert all(0 < row["value"] < 1 for row in rows)


def test_a_verifier_of_this_program_from_a_folder(world: Bench, tmp_path: Path) -> None:
    save_verifier(verifier(), tmp_path / "there")
    artifact = world.make("prm", "verifier", path=str(tmp_path / "there"))
    assert read_head_config(artifact.path / "verifier") == HeadConfig()
    with pytest.raises(UserError, match="has answer_mark='Answer: ', the recipe's task has answer_mark='So: '"):
        world.make("other", "verifier", path=str(tmp_path / "there"), task_format={"answer_mark": "So: "})
    (tmp_path / "there" / "format.json").unlink()
    with pytest.raises(UserError, match=r"has a head, but no format\.json that says how it reads"):
        world.make("torn", "verifier", path=str(tmp_path / "there"))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "give exactly one of path and hub"),
        ({"path": "a", "hub": "b/c"}, "give exactly one of path and hub"),
        ({"path": "a", "kind": "classifier"}, "`head` says what the scores of a `classifier` mean"),
        ({"path": "a", "head": {"read_at": "last"}}, "for no other kind"),
        (
            {"path": "a", "kind": "classifier", "head": {"read_at": "last", "activation": "none"}},
            "scale 'p' does not go with activation 'none'",
        ),
        ({"path": "a", "format": {"template": "server"}}, "a verifier runs here, so use plain or chat"),
    ],
)
def test_configurations_that_name_no_verifier(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        VerifierConfig.model_validate(config)


def test_what_is_not_what_it_is_said_to_be_is_refused(world: Bench, tmp_path: Path) -> None:
    classifier(tmp_path / "there")
    with pytest.raises(
        UserError,
        match=r"verifier.kind is 'qwen_prm', but .* is a LlamaForTokenClassification; expected Qwen2ForProcess",
    ):
        world.make("a", "verifier", path=str(tmp_path / "there"), kind="qwen_prm")
    with pytest.raises(UserError, match=r"holds no value head \(no head/head\.json\)"):
        world.make("b", "verifier", path=str(tmp_path / "there"))
    with pytest.raises(UserError, match="step_token is '12 34', which is not a single token"):
        world.make("c", "verifier", path=str(tmp_path / "there"), format={"step_token": "12 34"}, **CLASSIFIER)
    shutil.copytree(tmp_path / "there", tmp_path / "bare")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "bare" / file).unlink()
    with pytest.raises(UserError, match=r"^verifier: the tokenizer in .*bare cannot be loaded \(\w+: .*\)\. Bring the"):
        world.make("bare", "verifier", path=str(tmp_path / "bare"), **CLASSIFIER)
    os.truncate(tmp_path / "there" / "model.safetensors", 70)
    with pytest.raises(GateError, match=r"verifier: .*model\.safetensors is torn \(70 bytes"):
        world.make("torn", "verifier", path=str(tmp_path / "there"), **CLASSIFIER)
    with pytest.raises(UserError, match="verifier.hub: 'nobody/nothing' at v1 is not on this machine"):
        world.make("d", "verifier", hub="nobody/nothing", revision="v1")


RECIPE = """
    name: prm
    include: [{include}]
    stages:
      prm: {{uses: verifier, path: there, kind: classifier, head: {{positive: right, read_at: step_end}}{more}}}
      trees:
        uses: search
        policy: ${{model}}
        problems: ${{task.train}}
        search: {{uses: best_of_n}}
        scorer: {{uses: head}}
        verifier: ${{stages.prm}}
"""


def test_in_a_recipe_it_follows_the_task_and_is_keyed_by_its_bytes(tmp_path: Path) -> None:
    from reasoning_train.recipe.load import load_plan

    def plan(more: str = "") -> Any:
        text = RECIPE.format(include="m.yaml", more=more)
        (tmp_path / "r.yaml").write_text(text.replace("\n    ", "\n"))
        return load_plan(tmp_path / "r.yaml")

    (tmp_path / "m.yaml").write_text(
        "task: {uses: chain, seed: 0, train: 4, steps: [1, 2], format: {answer_mark: 'So: '}}\n"
        "model: {init: {hidden_size: 32, layers: 1, heads: 2, intermediate_size: 64, max_length: 128}, tokenizer: "
        "task}\n"
    )
    classifier(tmp_path / "there")
    first = plan()
    assert first.nodes["prm"].config["task_format"]["answer_mark"] == "So: "
    with pytest.raises(UserError, match=r"trees.verifier.* has answer_mark='So: ', .*'prm'.* has answer_mark='Thus: '"):
        plan(", task_format: {answer_mark: 'Thus: '}")
    config = tmp_path / "there" / "config.json"
    config.write_text(config.read_text() + " ")
    again = plan()
    assert {name for name in first.nodes if first.nodes[name].key != again.nodes[name].key} == {"prm", "trees"}
