"""How rounds differ: seeds that rounds mix into, `first` and `vary`, and the same graph written out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from reasoning_train.api.refs import Ref
from reasoning_train.recipe.errors import RecipeError
from reasoning_train.recipe.seeds import mixed
from tests.reasoning_train.recipe.kitchen import keys, load
from tests.reasoning_train.recipe.test_rounds import ROUNDS

NO_SEED = ROUNDS.replace(', seed: "${round}"', "")
WITHOUT_STOP = NO_SEED.partition("        stop:")[0].replace("${rounds.grow.best}", "${rounds.grow.last}")


def seeds(folder: Path, *overrides: str, text: str = NO_SEED) -> dict[str, int | None]:
    return {name: node.seed for name, node in load(folder, text, *overrides).nodes.items()}


def test_an_unwritten_seed_mixes_the_round_in_from_round_2_on(tmp_path: Path) -> None:
    found = seeds(tmp_path, "seed=7")
    assert [found[f"rounds.grow.{k}.sample"] for k in (1, 2, 3)] == [7, mixed(7, 2), mixed(7, 3)]
    assert [found[f"rounds.grow.{k}.tuned"] for k in (1, 2, 3)] == [7, mixed(7, 2), mixed(7, 3)]
    assert found["base"] == found["eval"] == 7


def test_rounds_and_recipe_seeds_all_draw_other_numbers(tmp_path: Path) -> None:
    for written in ("", "rounds.grow.stages.sample.seed={mix: '${round}'}"):
        nodes = load(tmp_path, NO_SEED, "seeds=[0, 1, 2]", *filter(None, [written])).nodes
        drawn = [nodes[f"rounds.grow.{k}.sample@{seed}"].seed for k in (1, 2, 3) for seed in (0, 1, 2)]
        assert len(set(drawn)) == 9


def test_what_mixes_in_decides(tmp_path: Path) -> None:
    base = [f"stages.base.seed={{mix: {value}}}" for value in ("a", "b", "[a, 1]", "1", "'${name}'")]
    found = [seeds(tmp_path, override)["base"] for override in base]
    assert len(set(found)) == len(found)
    assert found[3] == mixed(0, 1)
    assert found[4] == mixed(0, "rounds")


def test_a_written_seed_is_the_same_in_every_round(tmp_path: Path) -> None:
    found = seeds(tmp_path, "rounds.grow.stages.sample.seed='${seed}'", "seed=4")
    assert [found[f"rounds.grow.{k}.sample"] for k in (1, 2, 3)] == [4, 4, 4]


def test_unseeded_stages_take_no_part(tmp_path: Path) -> None:
    fresh = '          fresh: {uses: k_clean, problems: "${task.train}"}\n'
    nodes = load(tmp_path, WITHOUT_STOP.replace("        stages:\n", f"        stages:\n{fresh}")).nodes
    assert {nodes[f"rounds.grow.{k}.fresh"].seed for k in (1, 2, 3)} == {None}
    assert len({nodes[f"rounds.grow.{k}.fresh"].key for k in (1, 2, 3)}) == 1, "one artifact serves all rounds"


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        (
            "'${seed}${round}'",
            "rounds.grow.stages.sample.seed: expected a whole number from 0, got '01'. To draw other numbers in every "
            'round and under every seed of the recipe, mix a value into its seed: `seed: {mix: "${round}"}`.',
        ),
        ("-1", "rounds.grow.stages.sample.seed: expected a whole number from 0, got -1."),
        ("{mix: '${stages.tuned.shape}'}", "seed.mix: stage 'rounds.grow.1.tuned' has no output 'shape'"),
        (
            "{mix: '${previous.tuned}'}",
            "rounds.grow.stages.sample.seed: mix: expected a number, a text or a list of them",
        ),
        ("{mix: []}", "rounds.grow.stages.sample.seed: mix: expected a number, a text or a list of them, got []."),
        ("{blend: 1}", "rounds.grow.stages.sample.seed.blend: unknown key 'blend'."),
    ],
)
def test_wrong_seeds(tmp_path: Path, seed: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, ROUNDS, f"rounds.grow.stages.sample.seed={seed}")
    assert message in str(caught.value)


def test_first_changes_round_1_only(tmp_path: Path) -> None:
    sets = (
        "rounds.grow.first={tuned: {policy: '${model}', until: {greedy: 0.9}}}",
        "rounds.grow.stages.tuned.until={problems: '${task.dev}'}",
    )
    nodes = load(tmp_path, ROUNDS, *sets).nodes
    until = [nodes[f"rounds.grow.{k}.tuned"].config["until"] for k in (1, 2, 3)]
    assert until == [{"greedy": 0.9 if k == 1 else 0.5, "problems": Ref("task.dev")} for k in (1, 2, 3)]
    policies = [nodes[f"rounds.grow.{k}.tuned"].config["policy"] for k in (1, 2, 3)]
    assert policies == [Ref("model"), Ref("rounds.grow.1.tuned"), Ref("rounds.grow.2.tuned")]


def test_vary_gives_every_round_its_value(tmp_path: Path) -> None:
    sets = (
        "rounds.grow.vary.sample={n: [4, 8, 16, 32], seed: [9, 8, 7]}",
        "rounds.grow.vary.tuned={until: {greedy: [0.1, 0.2, 0.3]}, shape: [[1, 2], [3, 4], [5, 6]]}",
    )
    nodes = load(tmp_path, ROUNDS, *sets).nodes
    assert [nodes[f"rounds.grow.{k}.sample"].config["n"] for k in (1, 2, 3)] == [4, 8, 16]
    assert [nodes[f"rounds.grow.{k}.sample"].seed for k in (1, 2, 3)] == [9, 8, 7]
    assert [nodes[f"rounds.grow.{k}.tuned"].config["until"]["greedy"] for k in (1, 2, 3)] == [0.1, 0.2, 0.3]
    assert [nodes[f"rounds.grow.{k}.tuned"].config["shape"] for k in (1, 2, 3)] == [[1, 2], [3, 4], [5, 6]]


def test_values_of_a_round_can_be_referred_to(tmp_path: Path) -> None:
    sets = ("rounds.grow.vary={sample: {n: [4, 8, 16]}}", "rounds.grow.stages.tuned.steps='${stages.sample.n}'")
    nodes = load(tmp_path, ROUNDS, *sets).nodes
    assert [nodes[f"rounds.grow.{k}.tuned"].config["steps"] for k in (1, 2, 3)] == [4, 8, 16]


def test_first_wins_over_vary(tmp_path: Path) -> None:
    sets = ("rounds.grow.vary={sample: {n: [4, 8, 16]}}", "rounds.grow.first={sample: {n: 1}}")
    nodes = load(tmp_path, ROUNDS, *sets).nodes
    assert [nodes[f"rounds.grow.{k}.sample"].config["n"] for k in (1, 2, 3)] == [1, 8, 16]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            "vary: {sample: {n: [4, 8]}}",
            "recipe.yaml:13: rounds.grow.vary.sample.n: expected a list with a value for each of the 3 rounds, got "
            "[4, 8].",
        ),
        (
            "vary: {sample: {n: 4}}",
            "rounds.grow.vary.sample.n: expected a list with a value for each of the 3 rounds, got 4.",
        ),
        (
            "vary: {smaple: {n: [1, 2, 3]}}",
            "rounds.grow.vary.smaple: the round has no stage 'smaple'. Did you mean 'sample'?",
        ),
        (
            "first: {smaple: {n: 1}}",
            "rounds.grow.first.smaple: the round has no stage 'smaple'. Did you mean 'sample'?",
        ),
        (
            "first: {sample: {m: 1}}",
            "recipe.yaml:13: rounds.grow.1.sample.m: unknown key 'm' of stage type 'k_sample'.",
        ),
        ("vary: {sample: {n: [1, x, 3]}}", "recipe.yaml:13: rounds.grow.2.sample.n: expected an integer, got 'x'."),
        (
            "first: {sample: {seed: x}}",
            "recipe.yaml:13: rounds.grow.1.sample.seed: expected a whole number from 0, got 'x'.",
        ),
    ],
)
def test_wrong_differences(tmp_path: Path, written: str, message: str) -> None:
    text = ROUNDS.replace("        policy: tuned\n", f"        policy: tuned\n        {written}\n")
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, text)
    assert message in str(caught.value)


UNROLLED = """
    name: rounds
    model: {init: {}, tokenizer: task}
    task: {uses: k_task}
    stages:
      base: {uses: k_train, policy: "${model}", data: "${task.train.gold}"}
      sample1: {uses: k_sample, policy: "${stages.base}", problems: "${task.train}", n: 9}
      tuned1: {uses: k_train, policy: "${stages.base}", data: "${stages.sample1}", steps: 10}
      sample2: {uses: k_sample, policy: "${stages.tuned1}", problems: "${task.train}", seed: {mix: 2}}
      tuned2: {uses: k_train, policy: "${stages.tuned1}", data: "${stages.sample2}", steps: 20, seed: {mix: 2}}
"""


def test_unrolled_by_hand_it_has_the_same_keys(tmp_path: Path) -> None:
    sets = ("rounds.grow.max=2", "rounds.grow.first={sample: {n: 9}}", "rounds.grow.vary={tuned: {steps: [10, 20]}}")
    rounds = keys(load(tmp_path, WITHOUT_STOP, *sets))
    by_hand = keys(load(tmp_path, UNROLLED))
    for k in (1, 2):
        for stage in ("sample", "tuned"):
            assert rounds[f"rounds.grow.{k}.{stage}"] == by_hand[f"{stage}{k}"]
