"""Every YAML example of the READMEs loads as part of a recipe."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reasoning_train.recipe.load import load_plan

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
MCTS = (ROOT / "recipes/mcts/README.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"\n## ([^\n]+)\n(?:(?!\n## ).)*?```yaml\n(.*?)```", TEXT, re.S))

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


@pytest.mark.parametrize("section", ["A recipe", "Rounds", "Grids", "Search", "Rows", "Training", "Claims"])
def test_an_example_loads(section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = recipe(BLOCKS[section])
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    assert load_plan(path).nodes


def test_the_example_of_the_mcts_recipe_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    [block] = re.findall(r"```yaml\n(.*?)```", MCTS, re.S)
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe(block), encoding="utf-8")
    assert "mended" in load_plan(path).nodes


@pytest.mark.parametrize("line", BLOCKS["Engines"].splitlines())
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
