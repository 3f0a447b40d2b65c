"""The version guard: no stage changes unnoticed, since its version is what tells old artifacts from new ones."""

from __future__ import annotations

import json

import pytest

from tests.reasoning_train.stages.record_digests import FILE, digests

RECORDED = json.loads(FILE.read_text(encoding="utf-8"))


def test_every_stage_is_recorded() -> None:
    assert set(digests()) == set(RECORDED)


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_a_stage_is_as_it_was_recorded(name: str) -> None:
    now, then = digests()[name], RECORDED[name]
    assert now == then, (
        f"Stage {name!r} changed since its digest was recorded (version {then['version']} then, {now['version']} "
        "now). If its results can "
        "differ, bump `version` in its @stage decorator; then run `python -m "
        "tests.reasoning_train.stages.record_digests`."
    )
