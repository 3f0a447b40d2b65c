"""Exams and competitions with open answers: Gaokao, olympiads, college exercises, AIME, AMC, MATH-500."""

from __future__ import annotations

from typing import Any

from data_gen.records.verdict import Answer, Verdict
from tests.benchmark_data import built, file
from tests.data_gen.benchmarks.checks import Benchmark, row_tests


def cloze(i: int) -> dict[str, Any]:
    asked = {"passage": None, "question": f"$x={i}$, 则 $x=(\\quad)$, $2x=(\\quad)$", "options": None}
    return {**asked, "label": None, "answer": f"${i}$;${2 * i}$", "other": {"source": "2021年"}}


def gaokao(i: int) -> dict[str, Any]:
    return {
        "question": f"{i}: A. 1 B. 2 C. 3",
        "answer": ("AC", "B", "3/2")[i],
        "type": ("multi", "single", "blank")[i],
    }


def mixed(i: int) -> dict[str, Any]:
    answer = {"answer": "C. 3", "choice_answer": "C"} if i == 0 else {"answer": "4, \\frac{1}{2}", "choice_answer": ""}
    return {"idx": i, "question": f"{i}: A. 1 B. 2 C. 3", **answer}


def english(i: int) -> dict[str, Any]:
    return {"source": f"2023/{i:02}Q.en", "question": f"Find ${i}^2$.", "lang": "en", "answer": f"${i * i}$"}


def olympiad(i: int) -> dict[str, Any]:
    told = {"subfield": "Algebra", "context": None, "solution": ["It is.\nSo."], "unit": None}
    answer = {"final_answer": [f"$({i},1),(1,{i})$"], "is_multiple_answer": True, "answer_type": "Tuple", "error": None}
    return {"id": 1600 + i, **told, "question": f"Solve $x+y={i + 1}$.", **answer}


def college(i: int) -> dict[str, Any]:
    told = {"data_source": "college_math.Algebra", "data_topic": "college_math.algebra", "license": "CC BY 3.0"}
    return {**told, "question_number": f"1.{i}", "question": f"Expand: ${i + 2}(n-1)$", "answer": f"${i + 2}n-{i + 2}$"}


def aime(i: int) -> dict[str, Any]:
    return {"id": 60 + i, "problem": f"Find ${i}+200$.", "solution": "Add.", "answer": f"{i + 200}", "year": "2024"}


def amc(i: int) -> dict[str, Any]:
    return {"id": i, "question": f"Find ${i}/2$.", "answer": i / 2, "url": "https://example.org"}


def math(i: int) -> dict[str, Any]:
    told = {"subject": "Algebra", "level": 1 + i, "unique_id": f"test/{i}.json"}
    return {"problem": f"Find ${i}/3$.", "answer": f"\\frac{{{i}}}{{3}}", "solution": "It is.", **told}


SETS = [
    Benchmark(
        "agieval_gaokao_mathcloze", cloze, "agieval_gaokao_mathcloze.jsonl", 116, {"repeated": 2}, frozenset({"exam"})
    ),
    Benchmark("gaokao2024_i", gaokao, "gaokao2024_I.jsonl", 14, tags=frozenset({"kind"})),
    Benchmark("gaokao2024_ii", gaokao, "gaokao2024_II.jsonl", 14, tags=frozenset({"kind"})),
    Benchmark("gaokao2024_mix", mixed, "gaokao2024_mix.jsonl", 87, {"repeated": 4}),
    Benchmark("gaokao2023en", english, "gaokao2023en.jsonl", 385, without_gold=frozenset({"path/167", "path/192"})),
    Benchmark(
        "olympiadbench", olympiad, "olympiadbench_300.jsonl", 300, tags=frozenset({"subject", "form", "several"})
    ),
    Benchmark(
        "college_math",
        college,
        "college_math_ccby.jsonl",
        1234,
        {"other_answer": 13, "repeated": 13},
        frozenset({"topic", "book"}),
    ),
    Benchmark("math500", math, tags=frozenset({"subject", "level"})),
    Benchmark("aime24", aime),
    Benchmark("amc23", amc),
]


test_hand_made_rows, test_real_rows = row_tests(SETS)


def test_blanks_letters_and_the_order_of_answers() -> None:
    """What each set counts as right beyond gold as it is written."""
    said = {
        "agieval_gaokao_mathcloze": ("$5$;$10$", "5; 10", "10; 5"),
        "gaokao2024_i": ("ACD", "D, A, C", "A, C"),
        "gaokao2024_ii": ("24;112", "24, 112", "112, 24"),
        "gaokao2024_mix": ("24,112", "24; 112", "112, 24"),
        "olympiadbench": ("7,14,18", "18, 7, 14", "7, 14"),
    }
    files = {benchmark.name: benchmark.file for benchmark in SETS}
    for name, (gold, right, wrong) in said.items():
        task = built(name, path=file(files[name]))
        problem = next(p for p in task.problems("test") if p.gold == gold)
        verdicts = [task.grade(problem, Answer(answer)).verdict for answer in (right, wrong)]
        assert verdicts == [Verdict.CORRECT, Verdict.WRONG], name
