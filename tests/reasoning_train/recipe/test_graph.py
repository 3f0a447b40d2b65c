"""The graph check: every mistake has its message, all are told together, seeds repeat what differs."""

from __future__ import annotations

from pathlib import Path

import pytest

from reasoning_train.api.refs import Ref
from reasoning_train.recipe.errors import RecipeError
from reasoning_train.store.plan_json import plan_from_json, plan_to_json
from tests.reasoning_train.recipe.kitchen import RECIPE, keys, load, write


def refusal(tmp_path: Path, *sets: str, text: str = RECIPE) -> str:
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, text, *sets)
    return str(caught.value)


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (
            ["stages.base.stpes=3"],
            "stages.base.stpes: unknown key 'stpes' of stage type 'k_train'. Did you mean 'steps'?",
        ),
        (
            ["stages.base.until={gredy: 1}"],
            "stages.base.until.gredy: unknown key 'gredy' of stage type 'k_train'. Did you mean 'greedy'?",
        ),
        (["stages.base.steps=many"], "stages.base.steps: expected an integer, got 'many'."),
        (["stages.base.steps='8'"], "stages.base.steps: expected a number, got '8'."),
        (["stages.base.steps=true"], "stages.base.steps: expected a number, got True."),
        (["stages.base.packing=no"], "stages.base.packing: expected true or false, got 'no'."),
        (["stages.base.packing=0"], "stages.base.packing: expected true or false, got 0."),
        (["stages.base.steps=0"], "stages.base.steps: expected greater than or equal to 1, got 0."),
        (["stages.base.rate=[1]"], "stages.base.rate: expected a number, got [1]."),
        (["stages.base.schedule=cosine"], "stages.base.schedule: expected 'constant' or 'linear', got 'cosine'."),
        (["stages.base.notes={a: x}"], "stages.base.notes.a: expected a number, got 'x'."),
        (["stages.base.policy=base"], "stages.base.policy: expected a reference such as ${stages.base}, got 'base'."),
        (["stages.base.steps='${model}'"], "stages.base.steps: expected an integer, got ${model}."),
        (["stages.base.uses=k_trian"], "stages.base.uses: Unknown stage 'k_trian'. Did you mean 'k_train'?"),
        (["stages.base=3"], "stages.base: expected a map, got 3."),
        (["stages.base={}"], "stages.base.uses: 'uses' is missing; give it a value."),
        (
            ["stages.base={uses: k_train}"],
            "stages.base.policy: 'policy' of stage type 'k_train' is missing; give it a value.",
        ),
        (
            ["stages.base.data='${model}'"],
            "stages.base.data: expected solutions or problems, but 'model' (a stage of type 'model') gives model.",
        ),
        (
            ["stages.eval.policies.base='${stages.base.log}'"],
            "stages.eval.policies.base: expected model, but 'base.log' (a stage of type 'k_train') gives table.",
        ),
        (["stages.base.until={problems: '${model}'}"], "stages.base.until.problems: expected problems, but 'model'"),
        (
            ["stages.base.data='${stages.sample}'"],
            "stages refer to each other in a circle: base -> sample -> base. Remove one of the references.",
        ),
        (
            ["stages.base.resources={shards: 2}"],
            "stages.base.resources.shards: stage type 'k_train' works in one process; remove `shards`.",
        ),
        (
            ["stages.base.resources={cores: 2}"],
            "stages.base.resources.cores: unknown key 'cores'. Did you mean 'nodes'?",
        ),
        (["stages.claim.seed=1"], "stages.claim.seed: stage type 'k_claim' draws no random numbers; remove `seed`."),
        (["stages.base.seed=x"], "stages.base.seed: expected a whole number from 0, got 'x'."),
        (["stages.base.file=none.txt"], "stages.base.file: there is no file 'none.txt'; looked for "),
        (["task.path=none.txt"], "task.path: there is no file 'none.txt'; looked for "),
        (["task.uses=k_tsak"], "task.uses: Unknown task 'k_tsak'. Did you mean 'k_task'?"),
        (["task={}"], "task: `uses` is missing; name a task. Known: "),
        (["task.stpes=1"], "task.stpes: unknown key 'stpes' of task 'k_task'. Did you mean 'steps'?"),
        (["seeds=[0]", "seed=1"], "give `seed` or `seeds`, not both"),
        (["seeds=[0, 0]"], "seeds: each may be given once, got [0, 0]."),
        (["seeds=[]"], "seeds: List should have at least 1 item after validation, not 0, got []."),
        (["sed=1"], "sed: unknown key 'sed'. Did you mean 'seed'?"),
        (["stages={}"], "there is nothing to run: the recipe has no stages."),
        (
            ["name=a/b"],
            "name: expected a name of at most 80 letters, digits, '_' and '-' that does not begin with a digit",
        ),
        (["name=../up"], "got '../up'."),
        (["name=null"], "name: expected a string, got None."),
    ],
)
def test_messages(tmp_path: Path, sets: list[str], message: str) -> None:
    assert message in refusal(tmp_path, *sets)


def test_known_names_are_listed_once(tmp_path: Path) -> None:
    first, second, *_ = refusal(tmp_path, "qqq=1", "zzz=1").splitlines()
    assert "unknown key 'qqq'. Known: " in first and second.endswith("unknown key 'zzz'.")


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ("{uses: vlm}", "stages.sample.engine.uses: 'vlm' is not known here. Did you mean 'vllm'?"),
        ("{slots: 2}", "stages.sample.engine.uses: 'uses' is missing; name one."),
        (
            "{uses: vllm, slot: 2}",
            "stages.sample.engine.slot: unknown key 'slot' of stage type 'sample'. Did you mean 'slots'?",
        ),
        ("{uses: transformers, slosh: 2}", "unknown key 'slosh' of stage type 'sample'. Did you mean 'slots'?"),
        (
            "{uses: transformers, tensor_parallel: 2}",
            "unknown key 'tensor_parallel' of stage type 'sample'. Known: slots, uses.",
        ),
    ],
)
def test_parts_that_are_chosen_by_uses(tmp_path: Path, engine: str, message: str) -> None:
    text = """
        name: part
        include: [configs/models/tiny.yaml, configs/tasks/chain.yaml]
        stages: {sample: {uses: sample, policy: "${model}", problems: "${task.dev}"}}
    """
    assert message in refusal(tmp_path, f"stages.sample.engine={engine}", text=text)


def test_a_mistake_has_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, RECIPE.replace("k_sample,", "k_sample, nn: 1,"))
    from reasoning_train.recipe.load import load_plan

    with pytest.raises(RecipeError) as caught:
        load_plan(Path("recipe.yaml"), ["stages.base.x=1"])
    assert str(caught.value).splitlines() == [
        "--set: stages.base.x: unknown key 'x' of stage type 'k_train'."
        " Known: data, file, label, micro, notes, packing, policy, rate, schedule, shape, steps, until.",
        "recipe.yaml:6: stages.sample.nn: unknown key 'nn' of stage type 'k_sample'. Did you mean 'n'?",
    ]


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    lines = refusal(
        tmp_path,
        "stages.base.steps=x",
        "stages.base.rate=y",
        "stages.tuned.data='${stages.nix}'",
        "stages.eval.uses=k_nix",
    ).splitlines()
    assert {line.split(": ")[1] for line in lines} == {
        "stages.base.rate",
        "stages.base.steps",
        "stages.eval.uses",
        "stages.tuned.data",
    }


def test_stage_names(tmp_path: Path) -> None:
    assert (
        "expected a name of at most 80 letters, digits, '_' and '-' that does not begin with a digit, got 'a.b'."
        in refusal(tmp_path, text='name: x\nstages: {"a.b": {uses: k_claim}}\n')
    )
    assert "'model' is the base model of the recipe; give the stage another name." in refusal(
        tmp_path, text="name: x\nstages: {model: {uses: k_claim, tables: []}}\n"
    )


def test_a_refused_name_with_a_line_break_stands_in_one_line(tmp_path: Path) -> None:
    [line] = refusal(tmp_path, text='name: x\nstages: {"a\\n\\e\\u2028b": {uses: k_claim}}\n').split("\n")
    assert r"stages.a\n\x1b\u2028b: expected a name of at most 80 letters" in line
    assert line.endswith(r"got 'a\n\x1b\u2028b'.")


def test_files_are_found_beside_the_recipe_and_stand_in_the_plan(tmp_path: Path) -> None:
    data = write(tmp_path, "abc", "data.txt")
    plan = load(tmp_path, RECIPE, "stages.base.file=data.txt", "task.path=data.txt")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert plan.nodes["base"].config["file"] == str(data)
    assert plan.nodes["base"].files == {str(data): digest}
    assert plan.nodes["task.train"].config["task"]["path"] == str(data)
    assert plan.nodes["task.train"].files == {str(data): digest}
    assert plan.nodes["eval"].files == {}


def test_files_are_found_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write(tmp_path / "here", "abc", "data.txt")
    monkeypatch.chdir(tmp_path / "here")
    assert load(tmp_path, RECIPE, "stages.base.file=data.txt").nodes["base"].config["file"] == str(data)


def test_formats_must_agree(tmp_path: Path) -> None:
    text = RECIPE + '    tasks: {other: {uses: k_task, format: {answer_mark: "A: "}}}\n'
    message = refusal(tmp_path, "stages.eval.problems='${tasks.other.test}'", text=text)
    assert (
        "stages.eval.problems: Format mismatch: 'base' has answer_mark='Answer: ', 'tasks.other.test' has "
        "answer_mark='A: '." in message
    )


def test_formats_may_differ_where_the_field_says_so(tmp_path: Path) -> None:
    text = RECIPE + '    tasks: {other: {uses: k_task, format: {answer_mark: "A: "}}}\n'
    clean = "stages={clean: {uses: k_clean, problems: '${task.train}', against: ['${tasks.other.test}']}}"
    assert load(tmp_path, text, clean).nodes["clean"].inputs == ("task.train", "tasks.other.test")


def test_one_seed_has_no_suffix(tmp_path: Path) -> None:
    assert keys(load(tmp_path, RECIPE, "seeds=[3]")) == keys(load(tmp_path, RECIPE, "seed=3"))
    assert load(tmp_path).nodes["claim"].config == {"tables": [Ref("eval")]}


def test_seeds_repeat_what_differs(tmp_path: Path) -> None:
    plan = load(tmp_path, RECIPE, "seeds=[0, 5]", "stages.clean={uses: k_clean, problems: '${task.train}'}")
    assert set(plan.nodes) == {
        *("task.train", "task.train.gold", "task.test", "clean", "claim"),
        *(f"{name}@{seed}" for name in ("model", "base", "sample", "tuned", "eval") for seed in (0, 5)),
    }
    assert plan.nodes["tuned@5"].config["policy"] == Ref("base@5")
    assert plan.nodes["tuned@5"].seed == 5
    assert plan.nodes["claim"].config == {"tables": [Ref("eval@0"), Ref("eval@5")]}
    assert plan.nodes["claim"].seed is None
    assert plan.nodes["base@5"].key == load(tmp_path, RECIPE, "seed=5").nodes["base"].key


def test_a_seed_of_its_own_is_shared_by_all_seeds(tmp_path: Path) -> None:
    pool = "stages.pool={uses: k_draw, seed: 9, problems: '${task.train}'}"
    plan = load(tmp_path, RECIPE, "seeds=[0, 1]", pool, "stages.other={uses: k_draw, problems: '${task.train}'}")
    assert plan.nodes["pool"].seed == 9
    assert {"other@0", "other@1"} <= plan.nodes.keys()


def test_plan_survives_json(tmp_path: Path) -> None:
    import json

    plan = load(tmp_path, RECIPE, "seeds=[0, 1]", "stages.sample.resources={shards: 2}")
    assert plan_from_json(json.loads(json.dumps(plan_to_json(plan)))) == plan
    assert plan.nodes["sample@1"].resources == {"shards": 2}


def test_inputs_come_first(tmp_path: Path) -> None:
    plan = load(tmp_path, RECIPE, "seeds=[0, 1]")
    seen: set[str] = set()
    for name, node in plan.nodes.items():
        assert seen.issuperset(node.inputs)
        seen.add(name)


def test_resolved_recipe_and_origins(tmp_path: Path) -> None:
    plan = load(tmp_path, RECIPE, "stages.sample.n=9")
    assert plan.resolved["stages"]["sample"] == {
        "uses": "k_sample",
        "policy": "${stages.base}",
        "problems": "${task.train}",
        "n": 9,
    }
    assert plan.origins["stages.sample.n"] == "--set"
    assert plan.origins["stages.sample.policy"].endswith("recipe.yaml:6")
    assert plan.nodes["sample"].origin.endswith("recipe.yaml:6")
