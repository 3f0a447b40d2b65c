"""The benchmarks of training, in small: they run, and both sides compute the same. What they measure is not looked at
here."""

from __future__ import annotations

import io
import json
import sys
from types import ModuleType
from typing import Any

import pytest

from tests.benchmarks import dpo_memory, sft_packing, step_dpo, tree_packing

pytestmark = pytest.mark.slow
SMALL: dict[ModuleType, dict[str, Any]] = {
    step_dpo: {"REPEATS": 1, "STEPS": 2, "PREFIX": 24, "SIDE": 6},
    sft_packing: {"REPEATS": 1, "STEPS": 2},
    tree_packing: {"REPEATS": 1, "PROMPT": 8, "STEP": 4, "DEPTH": 2, "PREFIX": 24, "SIDE": 6},
    dpo_memory: {"WORDS": 61, "PROMPT": 24, "SIDE": 6},
}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    for module, sizes in SMALL.items():
        for name, size in sizes.items():
            monkeypatch.setattr(module, name, size)


@pytest.mark.parametrize(
    "module", [step_dpo, sft_packing, tree_packing], ids=lambda module: module.__name__.rpartition(".")[2]
)
def test_both_sides_compute_the_same(module: ModuleType) -> None:
    figures = list(module.run())
    assert all(figure["value"] is not None for figure in figures)
    differences = [figure for figure in figures if figure["name"].endswith("difference")]
    assert differences and all(figure["ok"] for figure in differences)


def test_measured_processes_compute_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of dpo_memory, which starts them; here it is one after the other in this process."""

    def said(side: str, known: str = "") -> dict[str, Any]:
        monkeypatch.setattr(sys, "argv", ["", side, "1"])
        monkeypatch.setattr(sys, "stdin", io.StringIO(known))
        dpo_memory.main()
        return dict(json.loads(capsys.readouterr().out.splitlines()[-1]))

    known = json.dumps(said("reference")["reference"])
    assert dpo_memory.apart([said("theirs")["curve"], said("ours", known)["curve"]]) < 1e-3
