"""Label rows survive Parquet, keep the Hub's columns first, and load with `datasets`."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_gen.records.labels import StepPair, ValueTarget
from reasoning_train.store.rows import Rows, write_rows

PAIR = StepPair(
    problem_id="p",
    tree=2,
    prompt="go\na\n",
    chosen="b\n",
    rejected="c\n",
    prompt_ids=(5, 9, 7),
    prompt_length=2,
    chosen_ids=(8, 3),
    rejected_ids=(6, 3),
    prefix_nodes=(1,),
    chosen_nodes=(4,),
    rejected_nodes=(5,),
    score_chosen=0.75,
    score_rejected=-0.25,
    scale="signed",
    rule="margin",
    label_smoothing=0.125,
    weight=0.25,
    group="g",
    difficulty=2.0,
    tags={"subject": "algebra"},
)
TARGET = ValueTarget(
    problem_id="p",
    tree=0,
    prompt="go\n",
    completions=("a\n", "Answer: 1"),
    labels=(None, True),
    prompt_ids=(5, 9),
    token_ids=(7, 3, 6, 1),
    ends=(1, 3),
    nodes=(1, 2),
    at=(-1, 3),
    values=(0.5, 1.0),
    n_eff=(4.0, 1.0),
    weights=(0.5, 1.0),
    correct=(2.0, 1.0),
    total=(4.0, 1.0),
    scale="p",
    source="mc",
    multiplicity="unique",
    outcome=1.0,
)


def test_the_hubs_columns_come_first() -> None:
    assert list(PAIR.to_row())[:3] == ["prompt", "chosen", "rejected"]
    assert list(TARGET.to_row())[:3] == ["prompt", "completions", "labels"]


def test_what_derives_from_a_pair() -> None:
    assert (PAIR.margin, PAIR.to_row()["margin"], PAIR.prefix_ids) == (1.0, 1.0, (7,))


@pytest.mark.parametrize(("kind", "record"), [("pairs", PAIR), ("value_targets", TARGET)])
def test_parquet_gives_them_back(kind: str, record: StepPair | ValueTarget, tmp_path: Path) -> None:
    write_rows(tmp_path, kind, [record.to_row()])
    [row] = Rows(tmp_path)
    assert type(record).from_row(row) == record
    assert list(row)[:3] == list(record.to_row())[:3]


@pytest.mark.parametrize(("kind", "record"), [("pairs", PAIR), ("value_targets", TARGET)])
def test_datasets_loads_them(kind: str, record: StepPair | ValueTarget, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    write_rows(tmp_path, kind, [record.to_row()] * 2)
    loaded = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "part-*.parquet"), cache_dir=str(tmp_path / "cache"), split="train"
    )
    assert type(record).from_row(loaded[1]) == record
