"""Every YAML example of the READMEs loads as part of a recipe."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from reasoning_train.recipe.load import load_plan

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
MCTS = (ROOT / "recipes/mcts/README.md").read_text(encoding="utf-8")
SECTIONS = {part.partition("\n")[0]: part for part in TEXT.split("\n## ")[1:]}
BLOCKS = {name: re.findall(r"```yaml\n(.*?)```", part, re.S) for name, part in SECTIONS.items()}
LOADED = ["A recipe", "Rounds", "Grids", "Search", "Programs", "Rows", "Training", "Claims"]
GIVEN_MARKS = """
name: readme
include: [configs/models/smollm2-135m-instruct.yaml, configs/tasks/processbench.yaml]
stages:
  prm: {uses: verifier, hub: Qwen/Qwen2.5-Math-PRM-7B, kind: qwen_prm}
"""
MARKED = {"problem": "How many?", "steps": ["One.", "Two."], "label": 1, "generator": "g"}
"""A row of ProcessBench."""

GIVEN = """
name: readme
include: [configs/models/tiny.yaml, configs/tasks/chain.yaml]
tasks: {math: {uses: chain, train: 100, explore: 10, dev: 10, test: 10}}
stages:
"""
STAGES = {
    "base": '{uses: sft, policy: "${model}", data: "${task.train.gold}", learning_rate: 4e-3, max_steps: 2000}',
    "sample": '{uses: sample, policy: "${stages.base}", problems: "${task.explore}", n: 8}',
    "kept": '{uses: select, solutions: "${stages.sample}", keep: correct}',
    "trees": """{uses: search, policy: "${stages.base}", problems: "${task.explore}", gold: true,
        search: {uses: mcts, simulations: 16}, scorer: {uses: rollouts, m: 4}}""",
    "paths": '{uses: sft_paths, trees: "${stages.trees}", policy: "${stages.base}", paths: {correct: 4, wrong: 4}}',
    "pairs": '{uses: step_pairs, trees: "${stages.trees}", policy: "${stages.base}", pairs: {uses: best_sibling}}',
    "values": '{uses: value_targets, trees: "${stages.trees}", policy: "${stages.base}", targets: q}',
    "labels": '{uses: value_targets, trees: "${stages.trees}", policy: "${stages.base}", targets: mc}',
    "prm": """{uses: train_verifier, policy: "${stages.base}", targets: "${stages.labels}", learning_rate: 1e-3,
        epochs: 1}""",
    "known": '{uses: reference, pairs: "${stages.pairs}", policy: "${stages.base}"}',
    "eval": """{uses: evaluate, problems: "${task.test}", policies: {base: "${stages.base}", tuned: "${stages.base}",
        unfiltered: "${stages.base}", short: "${stages.base}", long: "${stages.base}", steps2: "${stages.base}",
        steps4: "${stages.base}", steps8: "${stages.base}"}}""",
    "tuned": '{uses: sft, policy: "${stages.base}", data: "${stages.kept}", learning_rate: 1e-3, epochs: 2}',
    "judge": "{like: tuned, epochs: 3}",
    "pool": '{uses: sample, policy: "${stages.base}", problems: "${task.explore}", n: 16}',
    "noisy": '{uses: evaluate, problems: "${task.test}", policies: {pf: "${stages.base}", beam: "${stages.base}"}}',
    "clean": '{uses: evaluate, problems: "${task.test}", policies: {pf: "${stages.base}", beam: "${stages.base}"}}',
}


def recipe(block: str) -> str:
    """A recipe that holds a README's example, with the stages around it that the example does not write itself."""
    if block.startswith("name:"):
        return block
    inside = block if block.startswith("  ") else re.sub(r"\A(?!stages:|rounds:)", "", block)
    given = {name: text for name, text in STAGES.items() if not re.search(rf"^  {name}:", inside, re.M)}
    head = GIVEN + "".join(f"  {name}: {text}\n" for name, text in given.items())
    if inside.startswith("stages:\n"):
        return head + inside.removeprefix("stages:\n")
    return head + inside


@pytest.mark.parametrize("section", LOADED)
def test_examples_load(section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later example of a section may name stages of those before it."""
    monkeypatch.chdir(ROOT)
    path, before = tmp_path / "recipe.yaml", ""
    for block in BLOCKS[section]:
        if "import_steps" in block:
            continue
        before = before + block
        path.write_text(recipe(before), encoding="utf-8")
        assert load_plan(path).nodes


def test_the_example_of_first_errors_loads_for_processbench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    data, path = tmp_path / "math.jsonl", tmp_path / "recipe.yaml"
    rows = ({**MARKED, "problem": f"How many are {i}?"} for i in range(120))
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    [block] = [block for block in BLOCKS["Training"] if "import_steps" in block]
    path.write_text(GIVEN_MARKS + block.replace("${stages.base}", "${model}"), encoding="utf-8")
    plan = load_plan(path, [f"task.path={data}"])
    marked, errors = plan.nodes["marked"].config, plan.nodes["errors"].config
    assert set(errors["by"]) <= set(marked["form"]["tags"])


def test_the_example_of_benchmarks_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    data, path = tmp_path / "distractor.jsonl", tmp_path / "recipe.yaml"
    data.write_text('{"input": "1 + 1 = ?", "golden": "2", "original": 0, "distractor": 0}\n', encoding="utf-8")
    [block] = BLOCKS["Benchmarks"]
    path.write_text("name: readme\n" + block, encoding="utf-8")
    assert load_plan(path, [f"tasks.cmath.path={data}"]).nodes


def test_no_section_with_examples_is_left_out() -> None:
    """What is under "On a cluster" is cut short; engines are tested line by line."""
    rest = {"Benchmarks", "On a cluster", "Engines"}
    assert {name for name in BLOCKS if BLOCKS[name]} == {*LOADED, *rest}


def test_the_example_of_the_mcts_recipe_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    [block] = re.findall(r"```yaml\n(.*?)```", MCTS, re.S)
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe(block), encoding="utf-8")
    assert "mended" in load_plan(path).nodes


@pytest.mark.parametrize("line", BLOCKS["Engines"][0].splitlines())
def test_an_engine_loads(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    drawn = f"""  drawn:
    uses: sample
    policy: "${{stages.base}}"
    problems: "${{task.explore}}"
    n: 8
    {line}
"""
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe(drawn), encoding="utf-8")
    assert "drawn" in load_plan(path).nodes
