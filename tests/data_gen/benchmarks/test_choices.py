"""Questions with options, and questions to be answered by yes or no: knowledge, algebra, logic."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.benchmark_data import built, file
from tests.data_gen.benchmarks.checks import Benchmark, row_tests


def aqua(i: int) -> dict[str, Any]:
    options = ["A)1", "B)2", "C)3", "D)4", "E)5"]
    return {"question": f"{i}?", "options": options, "rationale": "As is.\nB", "correct": "ABE"[i]}


def agieval(i: int) -> dict[str, Any]:
    options = ["(A)$x>1$", "(B)2", "(C)$-3$", "(D)3"]
    other = {"source": "2021年", "solution": "It is."}
    return {
        "passage": None if i else "",
        "question": f"{i}?",
        "options": options,
        "label": ("A", "AD", "B D")[i],
        "other": other,
    }


def sat(i: int) -> dict[str, Any]:
    return {**agieval(i), "passage": ("", "Read.", "See.")[i], "label": "ABC"[i]}


def mmlu(i: int) -> dict[str, Any]:
    return {"question": f"{i}?", "type": "astronomy", "choices": ["the moon", "2", "Mars", "none"], "answer": i}


def commonsense(i: int) -> dict[str, Any]:
    texts = zip("ABCDE", ("bank", "library", "zoo", "mall", "moon"), strict=True)
    choices = [{"label": letter, "text": text} for letter, text in texts]
    return {"id": f"c{i}", "answerKey": "C", "question": {"stem": f"Where is lion {i}?", "choices": choices}}


def strategy(i: int) -> dict[str, Any]:
    told = {"facts": ["Even numbers end in 0."], "decomposition": ["What does it end in?", "Is #1 even?"]}
    return {"qid": f"q{i}", "question": f"Is {i} even?", "answer": i % 2 == 0, **told}


def logic(i: int) -> dict[str, Any]:
    told = {"context": f"Cats are wumpuses. Max is cat {i}.", "question": "True or false? Max is a wumpus."}
    proof = ["Max is a cat.", "Cats are wumpuses.", "Max is a wumpus."]
    return {"id": f"l{i}", **told, "options": ["A) True", "B) False"], "answer": "AB"[i % 2], "explanation": proof}


SETS = [
    Benchmark("aqua", aqua, "aqua_test.jsonl", 254),
    Benchmark(
        "agieval_gaokao_mathqa", agieval, "agieval_gaokao_mathqa.jsonl", 348, {"repeated": 3}, frozenset({"exam"})
    ),
    Benchmark("agieval_sat_math", sat, "agieval_sat_math.jsonl", 220),
    Benchmark("mmlu_stem", mmlu, "mmlu_stem_600.jsonl", 600, tags=frozenset({"subject"})),
    Benchmark("commonsenseqa", commonsense, "commonsenseqa_dev.jsonl", 1221),
    Benchmark("strategyqa", strategy, "strategyqa_dev.jsonl", 229, tags=frozenset({"steps"})),
    Benchmark("proofwriter", logic, "proofwriter_dev.jsonl", 420, tags=frozenset({"depth"})),
    Benchmark("prontoqa", logic, "prontoqa_dev.jsonl", 500, tags=frozenset({"sentences"})),
]


test_hand_made_rows, test_real_rows = row_tests(SETS)


def test_questions_with_several_right_options_want_all_of_them() -> None:
    problems = list(built("agieval_gaokao_mathqa", path=file("agieval_gaokao_mathqa.jsonl")).problems("test"))
    assert sum(", " in str(p.gold) for p in problems) == 7


def test_proofs_stand_beside_their_problems() -> None:
    for problem in built("prontoqa", path=file("prontoqa_dev.jsonl")).problems("test"):
        assert len(problem.gold_steps) == int(problem.tags["sentences"]) == 11


def test_the_labels_of_proofwriter_follow_from_its_theories() -> None:
    task = built("proofwriter", path=file("proofwriter_dev.jsonl"))
    counts = Counter(str(p.tags["depth"]) for p in task.problems("test"))
    assert counts == {"unknown": 145, "0": 36, "1": 50, "2": 48, "3": 50, "4": 40, "5": 51}
    assert all((p.gold == "C") == (p.tags["depth"] == "unknown") for p in task.problems("test"))
