"""Stages that run programs: the tier of the sandbox stands in their manifests, and without one they are refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from data_gen.errors import UserError
from data_gen.records.problem import Problem
from data_gen.sandbox import tiers
from data_gen.sandbox.tiers import Tier
from reasoning_train.api.refs import Ref
from tests.needs_sandbox import need_a_sandbox
from tests.reasoning_train.bench import CHAIN, Bench

ASKED = Problem(id="p", question="Ana has 3.", gold="assert f() == 3", group="p", split="test")


def _sampled(bench: Bench, folder: Path) -> None:
    task = {"uses": "jsonl", "path": str(folder / "none.jsonl"), "split": {"test": None}, "grader": "tests"}
    bench.model()
    bench.problems("asked", [ASKED], task=task)
    bench.add("s", "sample", policy=Ref("model"), problems=Ref("asked"), n=1, min_solved=0, max_tokens=8)


def test_the_tier_stands_in_the_manifest(bench: Bench, one_thread: None, tmp_path: Path) -> None:
    need_a_sandbox()
    _sampled(bench, tmp_path)
    assert bench.run("s").manifest["metrics"]["sandbox"] == [f"bubblewrap: {tiers.require().detail}"]
    assert "sandbox" not in bench.make("other", "problems", task=CHAIN, split="dev").manifest["metrics"]


def test_without_a_tier_the_stage_is_refused(
    bench: Bench, one_thread: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _sampled(bench, tmp_path)
    monkeypatch.setattr(tiers, "probed", lambda: [Tier("bubblewrap", "", "no user namespaces")])
    with pytest.raises(UserError, match=re.escape("not run without one (bubblewrap: no user namespaces)")):
        bench.run("s")
    assert bench.recorded("s") == 0
