"""`why`: one line per difference, inputs followed by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reasoning_train.api.plan import Plan
from reasoning_train.recipe.why import explain
from reasoning_train.store.manifest import describe_node
from tests.reasoning_train.recipe.kitchen import RECIPE, load, write


def manifest(plan: Plan, name: str) -> dict[str, Any]:
    """What the store kept of a node of an earlier plan."""
    node = plan.nodes[name]
    gates = [gate for gate in (node.stop_gate, node.previous) if gate]
    return {
        **describe_node(node, plan),
        "inputs": {other: {"key": plan.nodes[other].key} for other in (*node.inputs, *gates)},
    }


def why(before: Plan, after: Plan, name: str) -> list[str]:
    known = {(node.uses, node.key): manifest(before, node.name) for node in before.nodes.values()}
    return explain(after.nodes[name], after, manifest(before, name), lambda uses, key: known.get((uses, key)))


@pytest.mark.parametrize(
    ("override", "lines"),
    [
        ("stages.tuned.steps=11", ["`steps`: 10 -> 11"]),
        ("stages.tuned.label=x", ["`label`: '' -> 'x'"]),
        ("stages.tuned.until={greedy: 0.7}", ["`until.greedy`: nothing -> 0.7"]),
        ("stages.tuned.shape=[1, 3]", ["`shape.1`: 2 -> 3"]),
        ("stages.tuned.seed=3", ["seed: 0 -> 3"]),
        ("stages.tuned.micro=4", []),
        ("stages.tuned.data='${stages.sample.data}'", []),
    ],
)
def test_own_fields(tmp_path: Path, override: str, lines: list[str]) -> None:
    assert why(load(tmp_path), load(tmp_path, RECIPE, override), "tuned") == lines


def test_inputs_are_followed_by_name(tmp_path: Path) -> None:
    before, after = load(tmp_path), load(tmp_path, RECIPE, "stages.sample.n=8")
    short = {name: (before.nodes[name].key[:12], after.nodes[name].key[:12]) for name in before.nodes}
    assert why(before, after, "eval") == [
        "input `policies.tuned` (tuned) is another artifact, key {} -> {}".format(*short["tuned"]),
        "  tuned: input `data` (sample) is another artifact, key {} -> {}".format(*short["sample"]),
        "  sample: `n`: 4 -> 8",
    ]
    assert explain(after.nodes["eval"], after, manifest(before, "eval")) == [
        "input `policies.tuned` (tuned) is another artifact, key {} -> {}".format(*short["tuned"])
    ]


def test_files(tmp_path: Path) -> None:
    write(tmp_path, "abc", "a.txt")
    before = load(tmp_path, RECIPE, "stages.base.file=a.txt")
    write(tmp_path, "other", "a.txt")
    after = load(tmp_path, RECIPE, "stages.base.file=a.txt")
    assert why(before, after, "base") == [
        f"`file`: the bytes of {tmp_path / 'a.txt'} changed, sha256 ba7816bf8f01 -> d9298a10d1b0"
    ]
    write(tmp_path, "abc", "b.txt")
    assert why(before, load(tmp_path, RECIPE, "stages.base.file=b.txt"), "base") == []


def test_version(tmp_path: Path) -> None:
    plan = load(tmp_path)
    newer = replace(plan, nodes={**plan.nodes, "sample": replace(plan.nodes["sample"], version=4)})
    assert why(plan, newer, "sample") == ["version of stage type 'k_sample': 3 -> 4"]


def test_another_output(tmp_path: Path) -> None:
    before = load(tmp_path, RECIPE, "stages.claim.tables=['${stages.base.log}']")
    after = load(tmp_path, RECIPE, "stages.claim.tables=['${stages.tuned.log}', '${stages.base.log}']")
    short = (before.nodes["base"].key[:12], after.nodes["tuned"].key[:12])
    assert why(before, after, "claim")[0] == "input `tables.0` (tuned) is another artifact, key {} -> {}".format(*short)
    assert why(before, after, "claim")[-1] == "`tables.1`: nothing -> ${base}"
