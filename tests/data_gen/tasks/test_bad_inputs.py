"""Bad inputs of `jsonl`, each with its message: file and row, column, what was found, what to do. And what is read
although it is unusual."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.errors import UserError
from data_gen.records.problem import Problem
from data_gen.sources.parquet import parquet_rows
from data_gen.sources.values import BadValue, question_of, step_lines, text_of
from data_gen.tasks.jsonl import Jsonl

QUESTION, ANSWER = {"question": "How many?"}, {"answer": "5"}
ALL = {
    "question": "question",
    "answer": "answer",
    "steps": "s",
    "choices": "c",
    "id": "i",
    "group": "g",
    "tags": {"t": "t"},
}


def task(path: Path, **settings: Any) -> Jsonl:
    return Jsonl.model_validate({"uses": "jsonl", "path": path, "split": {"test": None}, **settings})


def fields_of(*roles: str) -> dict[str, Any]:
    return {role: ALL[role] for role in ("question", "answer", *roles)}


def problems(folder: Path, *lines: bytes | dict[str, Any], **settings: Any) -> list[Problem]:
    whole = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    (folder / "a.jsonl").write_bytes(b"\n".join(whole) + b"\n")
    return list(task(folder / "a.jsonl", **settings).problems("test"))


GOOD = {**QUESTION, **ANSWER}
NOT_TEXT = "expected text, a number, or true or false; found "


@pytest.mark.parametrize(
    ("roles", "row", "column", "message"),
    [
        ((), {"question": None}, "question", f"{NOT_TEXT}null"),
        ((), {"question": float("nan")}, "question", "found NaN, which is no number"),
        ((), {"question": ["a", "b"]}, "question", f"{NOT_TEXT}a list, ['a', 'b']"),
        ((), {"question": {"text": "a"}}, "question", f"{NOT_TEXT}an object, {{'text': 'a'}}"),
        ((), {"question": []}, "question", f"{NOT_TEXT}a list, []"),
        ((), {"question": "smile \ud83d"}, "question", "found half a surrogate pair, '\\ud83d', at character 7"),
        ((), {"answer": float("inf")}, "answer", "found inf, which is no number"),
        ((), {"answer": float("nan")}, "answer", "found NaN, which is no number"),
        ((), {"answer": {"number": "5"}}, "answer", f"{NOT_TEXT}an object, {{'number': '5'}}"),
        ((), {"answer": ["5"]}, "answer", f"{NOT_TEXT}a list, ['5']; the graders `list` and `set` read lists"),
        ((), {"answer": "4\udc005"}, "answer", "found half a surrogate pair, '\\udc00', at character 2"),
        (("steps",), {"s": 5}, "s", "expected text or a list of texts; found a value of type int, 5"),
        (("steps",), {"s": float("nan")}, "s", "expected text or a list of texts; found NaN"),
        (("steps",), {"s": {"1": "a"}}, "s", "expected text or a list of texts; found an object"),
        (("steps",), {"s": ["a", None]}, "s", f"element 1: {NOT_TEXT}null"),
        (("steps",), {"s": [{"text": "a"}]}, "s", f"element 0: {NOT_TEXT}an object"),
        (("choices",), {"c": ["x", None]}, "c", f"choice 1: {NOT_TEXT}null"),
        (("choices",), {"c": [{"label": "A"}]}, "c", "choice 0: expected an object with `label` and `text`; found an"),
        (("choices",), {"c": {"right": 1}}, "c", "expected the lists `label` and `text` of one length, or texts by"),
        (("choices",), {"c": {"label": ["A"], "text": ["x", "y"]}}, "c", "expected the lists `label` and `text` of"),
        (("choices",), {"c": ["x"] * 27}, "c", "expected a list of at most 26 choices; found a list"),
        (("choices",), {"c": 5}, "c", "expected a list of at most 26 choices; found a value of type int, 5"),
        (("choices",), {"c": ["x", "y"], "answer": ["x"]}, "answer", f"{NOT_TEXT}a list"),
        (("id",), {"i": None}, "i", f"{NOT_TEXT}null"),
        (("id",), {"i": [1]}, "i", f"{NOT_TEXT}a list, [1]"),
        (("id",), {}, "i", "the row lacks it"),
        (("group",), {"g": {"a": 1}}, "g", f"{NOT_TEXT}an object"),
        (("tags",), {"t": ["algebra"]}, "t", f"{NOT_TEXT}a list, ['algebra']"),
    ],
)  # fmt: skip
def test_a_value_that_is_no_text_is_named_with_row_and_column(
    tmp_path: Path, roles: tuple[str, ...], row: dict[str, Any], column: str, message: str
) -> None:
    role = {field: role for role, field in ALL.items() if isinstance(field, str)}.get(column, "tags.t")
    first = {**GOOD, "question": "First?", "s": "a", "c": ["5", "6"], "i": 1, "g": "x", "t": "y"}
    with pytest.raises(UserError) as caught:
        problems(tmp_path, first, {**GOOD, **row}, fields=fields_of(*roles))
    said = str(caught.value)
    assert said.startswith(f"{tmp_path}/a.jsonl:2: column {column!r} (task.fields.{role}): {message}"), said
    assert "Correct or remove the row, or name another column" in said


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "not JSON ("),
        ('{"question": "é"}'.encode("latin-1"), "not UTF-8 text ("),
        (b'["a"]', "expected a JSON object with named columns, found list."),
        (b"5", "expected a JSON object with named columns, found int."),
        (b"\0" * 100, "not JSON ("),
        (b'{"question": "q", "answer": ' + b"9" * 5000 + b"}", "a number has more than 4300 digits. Write it as text"),
        (b'{"question": "q", "x": ' + b"[" * 10**5 + b"]" * 10**5 + b"}", "the JSON is nested too deeply."),
    ],
)
def test_a_line_that_is_no_row_is_named(tmp_path: Path, line: bytes, message: str) -> None:
    with pytest.raises(UserError) as caught:
        problems(tmp_path, GOOD, line)
    assert str(caught.value).startswith(f"{tmp_path}/a.jsonl:2: {message}")


def test_a_line_longer_than_the_limit_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_gen.sources.rows.LONGEST_LINE", 100)
    with pytest.raises(UserError, match=r"a\.jsonl:2: the line has more than 100 bytes\. Split or shorten the row\."):
        problems(tmp_path, GOOD, {**GOOD, "x": "y" * 100})


def test_a_text_longer_than_the_limit_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_gen.sources.values.LONGEST_TEXT", 100)
    with pytest.raises(
        UserError, match=r"a\.jsonl:1: column 'question' .*: found a text of 101 characters; expected at most 100"
    ):
        problems(tmp_path, {**ANSWER, "question": "y" * 101})


def test_an_object_says_how_to_reach_inside(tmp_path: Path) -> None:
    row = {**QUESTION, "answer": {"number": 5}}
    with pytest.raises(UserError, match=r"or name another column, such as `answer\.number`\."):
        problems(tmp_path, row)
    assert problems(tmp_path, row, fields={"answer": "answer.number"})[0].gold == "5"


def test_a_null_in_a_joined_question_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.jsonl:1: column 'Body' \(task\.fields\.question\): .* found null"):
        problems(tmp_path, {"Body": None, "Ask": "b?", **ANSWER}, fields={"question": "{Body} {Ask}"})


# What is read although it is unusual.


def test_byte_order_mark_carriage_returns_and_gzip_are_read(tmp_path: Path) -> None:
    plain = problems(tmp_path, GOOD)
    assert problems(tmp_path, b"\xef\xbb\xbf" + json.dumps(GOOD).encode() + b"\r") == plain
    with gzip.open(tmp_path / "b.jsonl.gz", "wb") as stream:
        stream.write(b"\xef\xbb\xbf" + json.dumps(GOOD).encode())
    assert list(task(tmp_path / "b.jsonl.gz").problems("test")) == plain


def test_a_torn_gzip_file_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(json.dumps({"question": f"q{i}", **ANSWER}).encode() + b"\n" for i in range(3000)))
    for content in (whole[: len(whole) // 2], b"not gzip", whole[:40] + b"\xff" * 40 + whole[80:]):
        (tmp_path / "a.jsonl.gz").write_bytes(content)
        with pytest.raises(UserError, match=r"a\.jsonl\.gz: the file cannot be read \(.*\)\. Bring a whole copy\."):
            list(task(tmp_path / "a.jsonl.gz").problems("test"))


@pytest.mark.parametrize(
    ("chat", "text"),
    [
        ([{"role": "user", "content": "2+3?"}], "2+3?"),
        ({"role": "user", "content": " 2+3? "}, "2+3?"),
        ([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+3?"}], "Be brief.\n\n2+3?"),
        ([{"role": "user", "content": [{"type": "text", "text": "2+"}, {"type": "text", "text": "3?"}]}], "2+3?"),
        ([{"from": "human", "value": "2+3?"}], "2+3?"),
    ],
)
def test_a_chat_of_one_user_message_is_a_question(tmp_path: Path, chat: Any, text: str) -> None:
    assert problems(tmp_path, {"question": chat, **ANSWER})[0].question == text


@pytest.mark.parametrize(
    ("chat", "message"),
    [
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "found the roles user, assistant"),
        ([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}], "found the roles user, user"),
        ([{"role": "system", "content": "a"}], "found the roles system"),
        ([{"role": "user", "content": None}], f"{NOT_TEXT}null"),
        ([{"role": "user", "content": [{"type": "image", "url": "x"}]}], "expected text parts in a message"),
        ([{"role": "user", "content": [{"type": "text", "text": None}]}], "expected text parts in a message; found an"),
    ],
)
def test_any_other_chat_is_refused(chat: Any, message: str) -> None:
    with pytest.raises(BadValue) as caught:
        question_of(chat)
    assert message in str(caught.value)


def test_a_blank_user_message_is_no_question(tmp_path: Path) -> None:
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": " "}]
    with pytest.raises(UserError, match=r"a\.jsonl:1: no question in 'question'\."):
        problems(tmp_path, {"question": chat, **ANSWER})


def test_one_message_is_named_by_its_number(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "2+3?"}, {"role": "assistant", "content": "5"}]
    fields = {"question": "m.0.content", "answer": "m.1.content"}
    [problem] = problems(tmp_path, {"m": chat}, fields=fields)
    assert (problem.question, problem.gold) == ("2+3?", "5")
    with pytest.raises(UserError, match=r"task\.fields\.answer: no column 'm\.2\.content' at"):
        problems(tmp_path, {"m": chat}, fields={**fields, "answer": "m.2.content"})


def test_questions_alone_are_problems_without_gold(tmp_path: Path) -> None:
    assert problems(tmp_path, QUESTION, fields={"answer": None})[0].gold is None
    with pytest.raises(UserError, match=r"task\.fields\.answer: no column 'answer'"):
        problems(tmp_path, QUESTION)


def test_lists_reach_the_graders_that_read_them(tmp_path: Path) -> None:
    assert problems(tmp_path, {**QUESTION, "answer": [1, "a"]}, grader="list")[0].gold == '[1, "a"]'
    with pytest.raises(UserError, match=r"column 'answer' .*: found a list, \[nan\], which cannot be written as JSON"):
        problems(tmp_path, {**QUESTION, "answer": [float("nan")]}, grader="list")


def test_ids_are_the_users_own(tmp_path: Path) -> None:
    rows = [{"question": str(i), **ANSWER, "i": i} for i in (3, "a/b", 2.0)]
    assert [problem.id for problem in problems(tmp_path, *rows, fields=fields_of("id"))] == ["3", "a/b", "2"]
    assert [problem.id for problem in problems(tmp_path, *rows)] == ["path/0", "path/1", "path/2"]


def test_a_group_may_be_zero(tmp_path: Path) -> None:
    rows = [{"question": str(i), **ANSWER, "g": g} for i, g in enumerate((0, 0, None))]
    assert [problem.group for problem in problems(tmp_path, *rows, fields=fields_of("group"))] == ["0", "0", "2"]


# Several worked solutions of a question.


def test_several_solutions_of_a_question_are_kept(tmp_path: Path) -> None:
    rows = [
        {**QUESTION, "s": "2 + 3 = 5", "answer": "5"},
        {"question": "Other?", "s": "1", "answer": "1"},
        {"question": "how MANY?", "s": ["3 + 2 = 5"], "answer": 5.0},
        {**QUESTION, "s": "2 + 3 = 5", "answer": "5"},  # repeats the first
        {**QUESTION, "s": "3 + 2 = 5", "answer": "5"},  # repeats the third
        {**QUESTION, "s": "2 + 4 = 6", "answer": "6"},  # contradicts
        {**QUESTION, "answer": "5", "s": None},  # says nothing new
    ]
    first, second = problems(tmp_path, *rows, fields=fields_of("steps"))
    assert (first.gold_steps, first.more_steps) == (("2 + 3 = 5",), (("3 + 2 = 5",),))
    assert (second.gold_steps, second.more_steps) == (("1",), ())
    assert task(tmp_path / "a.jsonl", fields=fields_of("steps")).left_out("test") == {"repeated": 3, "other_answer": 1}


def test_a_solution_found_later_is_the_first_one_of_a_row_without(tmp_path: Path) -> None:
    rows = [{**GOOD, "s": ""}, {**GOOD, "s": "2 + 3 = 5"}, {**GOOD, "s": "3 + 2 = 5"}]
    [problem] = problems(tmp_path, *rows, fields=fields_of("steps"))
    assert (problem.gold_steps, problem.more_steps) == (("2 + 3 = 5",), (("3 + 2 = 5",),))


def test_rows_of_one_question_may_share_their_id(tmp_path: Path) -> None:
    rows = [{**GOOD, "s": steps, "i": 7} for steps in ("a", "b")]
    [problem] = problems(tmp_path, *rows, fields=fields_of("steps", "id"))
    assert (problem.id, problem.more_steps) == ("7", (("b",),))


def test_what_is_left_out_is_told_by_split(tmp_path: Path) -> None:
    rows = [{"question": f"q{i % 10}", **ANSWER} for i in range(30)]
    problems(tmp_path, *rows)
    made = task(tmp_path / "a.jsonl", split={"train": 4, "test": None})
    assert {split: made.left_out(split) for split in ("train", "test")} == {
        "train": {"repeated": 8},
        "test": {"repeated": 12},
    }


def test_a_group_that_does_not_fit_its_split_is_told(tmp_path: Path) -> None:
    rows = [{"question": f"q{i}", **ANSWER, "g": i // 5} for i in range(10)]
    problems(tmp_path, *rows)
    made = task(tmp_path / "a.jsonl", split={"train": 3, "test": None}, fields=fields_of("group"))
    assert len(list(made.problems("train"))) == 3
    assert made.left_out("train") == {"group": 2}


def test_one_group_cannot_fill_two_splits(tmp_path: Path) -> None:
    problems(tmp_path, *({"question": f"q{i}", **ANSWER, "g": 0} for i in range(10)))
    made = task(tmp_path / "a.jsonl", split={"train": 3, "test": None}, fields=fields_of("group"))
    for read in (made.look, lambda: next(made.problems("train"))):
        with pytest.raises(UserError, match=r"task\.split\.test: the groups of .*a\.jsonl leave no rows for it\. Ask"):
            read()


# When a recipe loads.


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        ([], {}, r"a\.jsonl: the dataset is empty"),
        ([{"q": "a"}], {}, r"task\.fields\.question: no column 'question' at .*a\.jsonl:1\. Known: q\."),
        ([GOOD] * 3 + [{**GOOD, "question": None}], {}, r"a\.jsonl:4: column 'question'"),
        (
            [GOOD] * 150,
            {"split": {"train": 151}},
            r"task\.split: .* asks for 151 rows, .* has 1 distinct questions",
        ),
    ],
)
def test_a_look_tells_what_reading_would(
    tmp_path: Path, rows: list[dict[str, Any]], settings: dict[str, Any], message: str
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(UserError, match=message):
        task(path, **settings).look()


def test_a_look_compares_no_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problems(tmp_path, GOOD)
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({**GOOD, "answer": a}) + "\n" for a in ("5", "x^2")))
    made = task(tmp_path / "a.jsonl")
    monkeypatch.setattr(Jsonl, "same", lambda *_: pytest.fail("this may take a checker"))
    made.look()


def test_a_large_file_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    monkeypatch.setattr("data_gen.tasks.jsonl.READ_WHOLE", 10)
    rows = [{"question": f"q{i}", **ANSWER} for i in range(200)]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "no JSON", encoding="utf-8")
    task(path, split={"train": 200}).look()
    with pytest.raises(UserError, match=r"asks for 300 rows, but .*a\.jsonl has 201 rows\. Ask for fewer"):
        task(path, split={"train": 300}).look()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"asks for 300 rows, but .*a\.parquet has 200 rows\. Ask for fewer"):
        task(tmp_path / "a.parquet", split={"train": 300}).look()


# Parquet.


def parquet(folder: Path, columns: dict[str, Any], **options: Any) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), folder / "a.parquet", **options)
    return folder / "a.parquet"


def test_bytes_are_no_text(tmp_path: Path) -> None:
    path = parquet(tmp_path, {"question": [b"How?"], "answer": [b"5"]})
    with pytest.raises(UserError, match=r"a\.parquet, row 0: column 'question' \(.*\): .* found 4 bytes"):
        list(task(path).problems("test"))


def test_single_precision_is_read_as_the_decimal_that_was_meant(tmp_path: Path) -> None:
    import pyarrow as pa

    single = pa.float32()
    columns = {
        "question": ["q", "r"],
        "answer": pa.array([0.1, None], single),
        "s": pa.array([[1.1, 2.0], []], pa.list_(single)),
        "o": pa.array([{"x": 3.3}, {"x": None}], pa.struct([("x", single)])),
    }
    rows = [row for _, row in parquet_rows(parquet(tmp_path, columns))]
    assert rows == [
        {"question": "q", "answer": 0.1, "s": [1.1, 2.0], "o": {"x": 3.3}},
        {"question": "r", "answer": None, "s": [], "o": {"x": None}},
    ]


def damaged(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :]


@pytest.mark.parametrize(
    "damage",
    [lambda b: b[: len(b) // 2], lambda b: damaged(b, 40), lambda b: b"PAR1PAR1", lambda b: damaged(b, -60 + len(b))],
)
def test_a_damaged_parquet_file_is_refused_with_its_name(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = parquet(tmp_path, {"question": [f"How many are {i}?" for i in range(50)], "answer": ["5"] * 50})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"a\.parquet, row 0: (not a Parquet file|its rows cannot be read to the end)"):
        list(task(path).problems("test"))


def test_few_very_long_rows_are_read_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tracemalloc

    monkeypatch.setattr("data_gen.sources.parquet.BATCH_BYTES", 1 << 20)
    path = parquet(tmp_path, {"question": ["0" * (1 << 18)] * 60, "answer": ["1"] * 60}, compression="zstd")
    tracemalloc.start()
    seen = sum(1 for _ in parquet_rows(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen == 60 and peak < 4 << 20


# Properties.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(JSON)
def test_every_value_is_text_or_refused(value: Any) -> None:
    for read in (text_of, question_of, lambda v: "".join(step_lines(v))):
        try:
            text = read(value)
        except BadValue:
            continue
        text.encode()
        assert not text.startswith(("{'", "[", "b'")) or (isinstance(value, str | list) and text in str(value))


@given(st.floats(-1e300, 1e300, allow_subnormal=False))
def test_a_number_as_text_is_the_same_number(value: float) -> None:
    assert math.isclose(float(text_of(value)), value, rel_tol=1e-14)
