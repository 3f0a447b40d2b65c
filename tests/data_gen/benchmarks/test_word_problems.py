"""Word problems whose answers are numbers: the sets of MAWPS, SVAMP, CMATH."""

from __future__ import annotations

from typing import Any

from tests.benchmark_data import built, file
from tests.data_gen.benchmarks.checks import Benchmark, row_tests


def mawps(i: int) -> dict[str, Any]:
    return {"input": f"Ana has {i} coins and finds 2.5 . How many has she ?", "target": i + 2.5}


def svamp(i: int) -> dict[str, Any]:
    told = {"Body": f"Dan had {i} dollars", "Question": "How many has he?", "Equation": f"( {i} )"}
    return {"ID": f"chal-{i}", **told, "Answer": float(i), "Type": "Addition"}


def cmath(i: int) -> dict[str, Any]:
    return {
        "grade": 1,
        "input": f"小明有{i}个苹果，一共有几个？",
        "golden": f"{i}/7",
        "reasoning_step": 1,
        "num_digits": 1,
    }


def distractor(i: int) -> dict[str, Any]:
    asked = "小明有3个苹果，一共有几个？"
    return {"input": asked + "今天下雨。" * i, "original": asked, "golden": "3", "distractor": i}


SETS = [
    Benchmark("multiarith", mawps, "mawps_multiarith.jsonl", 580, {"repeated": 20}),
    Benchmark("addsub", mawps, "mawps_addsub.jsonl", 395),
    Benchmark("singleeq", mawps, "mawps_singleeq.jsonl", 508),
    Benchmark("singleop", mawps, "mawps_singleop.jsonl", 531, {"repeated": 31}),
    Benchmark("svamp", svamp, "svamp.jsonl", 1000, tags=frozenset({"kind"})),
    Benchmark("cmath", cmath, "cmath_dev.jsonl", 600, tags=frozenset({"grade", "steps", "digits"})),
    Benchmark(
        "cmath_distractor",
        distractor,
        "cmath_distractor.jsonl",
        359,
        {"repeated": 1},
        tags=frozenset({"distractors"}),
    ),
]


test_hand_made_rows, test_real_rows = row_tests(SETS)


def test_problems_with_more_distractors_are_the_same_problems() -> None:
    problems = list(built("cmath_distractor", path=file("cmath_distractor.jsonl")).problems("test"))
    by_number = {p.tags["distractors"] for p in problems}
    assert by_number == set("012345") and len({p.group for p in problems}) == 60
