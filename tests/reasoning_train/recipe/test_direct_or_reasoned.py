"""Mind Your Step: a model that answers directly against one that puts the rule into words first, in one claim."""

from __future__ import annotations

from pathlib import Path

from reasoning_train.recipe.load import load_plan

RECIPE = """
name: mind_your_step
include: [configs/models/tiny.yaml, configs/tasks/mind_your_step.yaml]
seeds: [0, 1, 2, 3, 4]
stages:
  answers:
    uses: transform
    problems: ${task.train}
    solutions: ${task.train.gold}
    apply: [{uses: render, form: answer}]
  direct: {uses: sft, policy: "${model}", data: "${stages.answers}", max_steps: 400, learning_rate: 1.0e-3}
  reasoned: {uses: sft, policy: "${model}", data: "${task.train.gold}", max_steps: 400, learning_rate: 1.0e-3}
  eval:
    uses: evaluate
    problems: ${task.test}
    policies: {direct: "${stages.direct}", reasoned: "${stages.reasoned}"}
    by: [states]
  hurts: {uses: claim, table: "${stages.eval}", form: {uses: difference, better: direct, than: reasoned}}
"""


def test_direct_and_reasoned_answers_meet_in_one_claim(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    nodes = load_plan(recipe).nodes
    assert {"hurts", "eval@4", "direct@0", "reasoned@0"} <= set(nodes)
    assert set(nodes["hurts"].inputs) == {f"eval@{seed}" for seed in range(5)}


CHAT = """
name: mind_your_step_chat
include: [configs/tasks/mind_your_step.yaml]
seeds: [0, 1, 2, 3, 4]
model: {hub: me/chat, format: {template: chat, system: "Answer with one word: yes or no."}}
stages:
  thinker: {uses: model, hub: me/chat, format: {template: chat, system: "First put the rule into words."}}
  direct: {uses: evaluate, problems: "${task.test}", policies: {model: "${model}"}, max_tokens: 8}
  reasoned: {uses: evaluate, problems: "${task.test}", policies: {model: "${stages.thinker}"}, max_tokens: 512}
  hurts:
    uses: claim
    tables: {direct: "${stages.direct}", reasoned: "${stages.reasoned}"}
    form: {uses: difference, better: direct/model, than: reasoned/model}
"""


def test_a_chat_model_that_is_asked_in_two_ways_meets_itself_in_one_claim_on_two_tables(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(CHAT, encoding="utf-8")
    nodes = load_plan(recipe).nodes
    tables = {name for name in nodes["hurts"].inputs if name.partition("@")[0] in ("direct", "reasoned")}
    assert {name.partition("@")[0] for name in tables} == {"direct", "reasoned"}
    assert nodes["model"].key != nodes["thinker"].key
