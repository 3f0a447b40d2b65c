"""`jsonl`: files and Hub snapshots through a field map, division into splits, and every bad input's message."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.errors import UserError
from data_gen.records.problem import Problem
from data_gen.records.verdict import Answer, Verdict
from data_gen.sources.division import divide
from data_gen.sources.values import step_lines, text_of
from data_gen.tasks.jsonl import Jsonl


def write(path: Path, rows: Sequence[dict[str, Any] | str]) -> Path:
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8"
    )
    return path


def numbered(n: int) -> list[dict[str, Any]]:
    return [{"question": f"What is {i} + 1?", "answer": i + 1} for i in range(n)]


def task(path: Path, **settings: Any) -> Jsonl:
    return Jsonl.model_validate({"uses": "jsonl", "path": path, "split": {"test": None}, **settings})


def only(path: Path, **settings: Any) -> Problem:
    [problem] = task(path, **settings).problems("test")
    return problem


def test_a_file_is_dealt_to_disjoint_splits_of_their_sizes(tmp_path: Path) -> None:
    made = task(write(tmp_path / "a.jsonl", numbered(50)), split={"train": 20, "dev": None, "test": 10})
    splits = {split: {p.question for p in made.problems(split)} for split in made.splits()}
    assert {split: len(q) for split, q in splits.items()} == {"train": 20, "dev": 20, "test": 10}
    assert len(set().union(*splits.values())) == 50
    assert made.disjoint_splits and made.splits() == {"train": 20, "dev": None, "test": 10}
    assert made.files() == {"path": tmp_path / "a.jsonl"}


def test_the_deal_depends_on_the_seed_and_on_nothing_else(tmp_path: Path) -> None:
    rows = numbered(40)
    first = task(write(tmp_path / "a.jsonl", rows), split={"test": 10})
    turned = task(write(tmp_path / "b.jsonl", rows[::-1]), split={"test": 10})
    questions = {p.question for p in first.problems("test")}
    assert list(first.problems("test")) == list(task(tmp_path / "a.jsonl", split={"test": 10}).problems("test"))
    assert {p.question for p in turned.problems("test")} == questions
    assert {p.question for p in task(tmp_path / "a.jsonl", split={"test": 10}, seed=1).problems("test")} != questions


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 8)), min_size=12), st.integers(0, 3))
def test_no_group_stands_on_both_sides(rows: list[tuple[int, int]], seed: int) -> None:
    asked = [(f"q{q}", f"g{q % 9}") for q, _ in rows]
    sizes = {"test": 1, "train": None}
    if len({group for _, group in asked}) == 1:
        with pytest.raises(UserError, match=r"asks for 1 rows and more|the groups of made up leave no rows"):
            divide(asked, sizes, seed, "made up")
        return
    parts = divide(asked, sizes, seed, "made up").rows
    groups = [{asked[i][1] for i in numbers} for numbers in parts.values()]
    assert not groups[0] & groups[1] and all(groups)
    assert all(len({asked[i][0] for i in numbers}) == len(numbers) for numbers in parts.values())


def test_repeated_questions_count_once_and_are_reported(tmp_path: Path) -> None:
    rows = [*numbered(3), {"question": "  what IS 0 +\n1? ", "answer": 9}, *numbered(1), *numbered(1)]
    made = task(write(tmp_path / "a.jsonl", rows))
    assert [p.gold for p in made.problems("test")] == ["1", "2", "3"]
    assert made.left_out("test") == {"other_answer": 1, "repeated": 2}


def test_an_answer_in_another_spelling_contradicts_nothing(tmp_path: Path) -> None:
    """As the task's grader says; gold that only some of the rows have does."""
    rows = [{"question": "q", "answer": answer} for answer in ("1/2", "0.5", "\\frac{1}{2}", "2", None)]
    made = task(write(tmp_path / "a.jsonl", rows))
    assert [p.gold for p in made.problems("test")] == ["1/2"]
    assert made.left_out("test") == {"repeated": 2, "other_answer": 2}
    strict = task(tmp_path / "a.jsonl", grader="exact")
    assert [p.gold for p in strict.problems("test")] == ["1/2"]
    assert strict.left_out("test") == {"other_answer": 4}


def test_files_of_their_own_with_dev_dealt_from_train(tmp_path: Path) -> None:
    paths = {
        "train": write(tmp_path / "t.jsonl", numbered(30)),
        "test": write(tmp_path / "e.jsonl", [*numbered(5), *numbered(2)]),
    }
    made = Jsonl.model_validate({"uses": "jsonl", "paths": paths, "split": {"dev": 4, "train": None}})
    sizes = {split: len(list(made.problems(split))) for split in made.splits()}
    assert sizes == {"dev": 4, "train": 26, "test": 5}
    assert not made.disjoint_splits
    assert made.files() == {"paths.train": paths["train"], "paths.test": paths["test"]}
    ids = [p.id for split in made.splits() for p in made.problems(split)]
    assert len(set(ids)) == len(ids)


def test_parquet_reads_like_json_lines(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(numbered(30)), tmp_path / "a.parquet")
    write(tmp_path / "a.jsonl", numbered(30))
    split = {"train": 12, "test": 7}
    from_parquet = task(tmp_path / "a.parquet", split=split).problems("train")
    assert list(from_parquet) == list(task(tmp_path / "a.jsonl", split=split).problems("train"))


@pytest.mark.parametrize("width", [16, 32, 64])
def test_a_float_of_any_width_is_the_decimal_that_a_person_would_read(tmp_path: Path, width: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kind = {16: pa.float16(), 32: pa.float32(), 64: pa.float64()}[width]
    said = ["0.1", "-2.5", "51", "1024"]
    rows = {
        "question": [f"q{i}" for i in range(len(said))],
        "answer": pa.array([float(text) for text in said], kind),
        "parts": pa.array([[0.1, None], None, [2.0], []], pa.list_(kind)),
        "inside": pa.array([{"answer": 0.1}, None, {"answer": 2.0}, {"answer": 7.5}], pa.struct({"answer": kind})),
    }
    pq.write_table(pa.table(rows), tmp_path / "a.parquet")
    for field, wanted in (("answer", said), ("inside.answer", ["0.1", None, "2", "7.5"])):
        made = task(tmp_path / "a.parquet", fields={"answer": field})
        assert [p.gold for p in made.problems("test")] == wanted
    lists = task(tmp_path / "a.parquet", fields={"answer": "parts"}, grader="list").problems("test")
    assert next(lists).gold == "[0.1, null]"


@pytest.mark.parametrize(
    ("written", "gold"),
    [
        ("0.30000000000000004", "0.3"),
        ("1e23", "1" + "0" * 23),
        ("2.50", "2.5"),
        ("1e-7", "0.0000001"),
        ("-0.0", "0"),
        ("123456789.125", "123456789.125"),
        ("9007199254740991.0", "9007199254740991"),
        ("1234567890123456.8", "1234567890123456.8"),
        ("0.6666666666666666", "0.6666666666666666"),
        ("434.99999999999994", "435"),
    ],
)
def test_floats_in_json_have_no_traces_of_their_computation(tmp_path: Path, written: str, gold: str) -> None:
    assert only(write(tmp_path / "a.jsonl", [f'{{"question": "q", "answer": {written}}}'])).gold == gold


def test_a_hub_dataset_is_read_from_its_local_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets.config
    import huggingface_hub.constants

    cache = tmp_path / "hub" / "datasets--made--up"
    commit = "0123456789abcdef0123456789abcdef01234567"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text(commit)
    (cache / "snapshots" / commit).mkdir(parents=True)
    write(cache / "snapshots" / commit / "test.jsonl", numbered(6))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    made = Jsonl(uses="jsonl", hub="made/up", hub_splits={"test": "test"}, split={"test": 4})
    assert len(list(made.problems("test"))) == 4
    assert made.files() == {}
    with pytest.raises(
        UserError, match=r"task\.hub: the dataset 'not/here' at main is not on this machine\. `reasoning-train fetch"
    ):
        next(Jsonl(uses="jsonl", hub="not/here", hub_splits={"test": "test"}).problems("test"))


def test_an_answer_after_a_mark_leaves_the_steps_before_it(tmp_path: Path) -> None:
    row = {"question": "How many?", "answer": "He has 2+3 = <<2+3=5>>5.\n\nTwice: 10 #### no\n#### 1,000"}
    problem = only(write(tmp_path / "a.jsonl", [row]), answer_after="#### ")
    assert (problem.gold, problem.gold_steps) == ("1,000", ("He has 2+3 = 5.", "Twice: 10 #### no"))


def test_choices_are_lettered_and_gold_is_a_letter(tmp_path: Path) -> None:
    fields = {"question": "q.stem", "answer": "key", "choices": "q.choices"}
    labelled = [{"label": "1", "text": "bank"}, {"label": "2", "text": "zoo"}]
    lists = {"label": ["A", "B"], "text": ["bank", "zoo"]}
    for choices, key in ((labelled, "2"), (["A)bank", "(B) zoo"], "B"), (["bank", "zoo"], 1), (lists, "zoo")):
        problem = only(
            write(tmp_path / "a.jsonl", [{"q": {"stem": "Where?", "choices": choices}, "key": key}]), fields=fields
        )
        assert (problem.question, problem.gold, problem.choices) == ("Where?\n(A) bank\n(B) zoo", "B", ("bank", "zoo"))


def test_columns_are_joined_numbers_tidied_and_truth_values_said_in_words(tmp_path: Path) -> None:
    fields = {"question": "{Body} {Ask}", "answer": "a", "steps": "facts", "id": "name"}
    rows = [{"Body": "One.", "Ask": "Two?", "a": a, "facts": ["x\ny", ""], "name": f"n{a}"} for a in (51.0,)]
    problem = only(write(tmp_path / "a.jsonl", rows), fields=fields)
    assert (problem.question, problem.gold, problem.gold_steps, problem.id) == (
        "One. Two?",
        "51",
        ("x y",),
        "n51.0",
    )
    values = (True, False, 2.5, 3, -0.0, 1e23, 0.1, 1e-7, " x ", "")
    texts = ["yes", "no", "2.5", "3", "0", "1" + "0" * 23, "0.1", "0.0000001", "x", ""]
    assert [text_of(value) for value in values] == texts


def test_tags_are_texts_and_a_row_without_a_value_has_no_such_tag(tmp_path: Path) -> None:
    fields = {"tags": {"subject": "type", "level": "about.level"}}
    rows = [
        {"question": "a", "answer": 1, "type": "Algebra", "about": {"level": 3.0}},
        {"question": "b", "answer": 1, "type": None, "about": {}},
    ]
    made = task(write(tmp_path / "a.jsonl", rows), fields=fields)
    assert [p.tags for p in made.problems("test")] == [{"subject": "Algebra", "level": "3"}, {}]


def test_helpers_by_hand() -> None:
    assert step_lines("a = <<1+1=2>>2\n\n b") == ("a = 2", "b")


def test_a_row_without_gold_is_kept_and_unverifiable(tmp_path: Path) -> None:
    rows = [{"question": "a", "answer": 1}, {"question": "b", "answer": None}, {"question": "c"}]
    made = task(write(tmp_path / "a.jsonl", rows))
    problems = list(made.problems("test"))
    assert [p.gold for p in problems] == ["1", None, None]
    assert [made.grade(p, Answer("1")).verdict for p in problems] == [
        Verdict.CORRECT,
        Verdict.UNVERIFIABLE,
        Verdict.UNVERIFIABLE,
    ]
    unmarked = only(write(tmp_path / "b.jsonl", [{"question": "q", "answer": "no mark"}]), answer_after="#### ")
    assert unmarked.gold is None


ONE = {"question": "q", "answer": "1"}


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        ([ONE, '{"question": '], {}, r"a\.jsonl:2: not JSON \(.* at column \d+\)\. Expected one JSON object a line"),
        (["[1, 2]"], {}, r"a\.jsonl:1: expected a JSON object with named columns, found list"),
        ([], {}, r"a\.jsonl: the dataset is empty"),
        (
            [{"questoin": "q", "answer": 1}],
            {},
            r"task\.fields\.question: no column 'question' at .*:1\. Did you mean 'questoin'\?",
        ),
        (
            [ONE],
            {"fields": {"answer": "gold"}},
            r"task\.fields\.answer: no column 'gold' at .*:1\. Known: answer, question",
        ),
        (
            [ONE],
            {"fields": {"tags": {"level": "levle"}}},
            r"task\.fields\.tags\.level: no column 'levle' at .*:1\.",
        ),
        ([{"question": " ", "answer": 1}], {}, r"a\.jsonl:1: no question in 'question'"),
        (
            [ONE],
            {"split": {"train": 2, "test": 3}},
            r"asks for 5 rows, but .*a\.jsonl has 1 distinct questions \(0 repeats\)",
        ),
        (
            [ONE, ONE],
            {"split": {"dev": 1, "test": None}},
            r"asks for 1 rows and more, but .* 1 distinct questions \(1 repeats\)",
        ),
        (
            [{**ONE, "c": "A, B"}],
            {"fields": {"choices": "c"}},
            r"a\.jsonl:1: column 'c' \(task\.fields\.choices\): expected a list of at most 26 choices; found",
        ),
        (
            [{**ONE, "i": 1}, {"question": "r", "answer": "1", "i": 1}],
            {"fields": {"id": "i"}},
            r":2: task\.fields\.id: '1' stands in 'i' twice, for different questions",
        ),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, rows: list[Any], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        list(task(write(tmp_path / "a.jsonl", rows), **settings).problems("test"))


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [ONE])
    path.write_bytes(path.read_bytes() + '{"question": "café"}'.encode("latin-1"))
    with pytest.raises(UserError, match=r"a\.jsonl:2: not UTF-8 text \(.* at byte 17\)\. Save the file as UTF-8\."):
        list(task(path).problems("test"))


def test_a_missing_file_names_the_field_and_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"task\.path: no file '.*gone\.jsonl'\. Point to a local copy with `--set task\.path=FILE`"
    ):
        next(task(tmp_path / "gone.jsonl").problems("test"))
    made = Jsonl(uses="jsonl", paths={"test": tmp_path / "gone.jsonl"})
    with pytest.raises(UserError, match=r"task\.paths\.test: no file .*--set task\.paths\.test=FILE"):
        next(made.problems("test"))


def test_no_source_at_all_says_how_to_name_one() -> None:
    made = Jsonl(uses="jsonl", split={"test": None})
    for act in (made.files, lambda: next(made.problems("test"))):
        with pytest.raises(UserError, match=r"task\.path: no data\. Name a local file with `--set task\.path=FILE`"):
            act()


def test_an_unknown_split_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"task\.tset: no split 'tset' in this task\. Did you mean 'test'\?"):
        next(task(write(tmp_path / "a.jsonl", [ONE])).problems("tset"))


def test_a_file_that_is_not_parquet_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", [ONE])
    with pytest.raises(UserError, match=r"a\.parquet, row 0: not a Parquet file"):
        next(task(tmp_path / "a.parquet").problems("test"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"path": "a.jsonl"}, "split: missing"),
        (
            {"path": "a.jsonl", "paths": {"test": "b.jsonl"}, "split": {"test": None}},
            "path and paths: expected one of them",
        ),
        ({"hub": "a/b"}, "hub_splits: missing"),
        (
            {"hub": "/data/a", "hub_splits": {"test": "test"}},
            "a name on the Hub such as 'openai/gsm8k', got '/data/a'; name a local folder or",
        ),
        ({"path": "a.jsonl", "split": {"train": None, "test": None}}, "null for at most one split"),
        ({"path": "a.jsonl", "split": {"test": 0}}, "sizes of at least 1"),
    ],
)
def test_settings_that_contradict_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=message):
        Jsonl.model_validate({"uses": "jsonl", **settings})


def test_a_division_without_a_train_source_is_refused(tmp_path: Path) -> None:
    paths = {name: write(tmp_path / f"{name}.jsonl", [ONE]) for name in ("a", "b")}
    with pytest.raises(
        UserError, match=r"task\.split: divides the source called 'train', but there is no such source\. Sources: a, b"
    ):
        next(Jsonl.model_validate({"uses": "jsonl", "paths": paths, "split": {"dev": 1}}).problems("dev"))
