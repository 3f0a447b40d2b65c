"""Records what other tools say of the completions in `other_tools.jsonl` and of GSM8K's published model solutions.

Run it with the Python of an environment that has the tool; it needs nothing of this project:

    python -m venv /tmp/lm_eval && /tmp/lm_eval/bin/pip install lm-eval==0.4.13
    /tmp/lm_eval/bin/python tests/data_gen/graders/record_other_tools.py lm_eval [example_model_solutions.jsonl]
    python -m venv /tmp/math_verify && /tmp/math_verify/bin/pip install 'math-verify[antlr4_13_2]==0.9.0'
    /tmp/math_verify/bin/python tests/data_gen/graders/record_other_tools.py math_verify

The verdicts on the table go into its rows; `other_tools.json` has the tools' versions and the verdicts on the model
solutions, as bits in hex: openai/grade-school-math, `example_model_solutions.jsonl`, by solver. GSM8K's own mark does
not occur in them, so `marked` has the verdicts with `#### ` written for their `A: `.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
SOLVERS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
FORMS = {"as_recorded": "A: ", "marked": "#### "}
Pair = tuple[str, str]
Score = Callable[[list[Pair]], list[bool]]
"""Verdicts on pairs of gold and completion."""


def by_lm_eval(task: str, filter_name: str) -> Score:
    """The filters and the metric of a task, as its YAML has them."""
    import lm_eval.tasks
    import yaml
    from lm_eval.api.instance import Instance
    from lm_eval.api.metrics import exact_match_hf_evaluate
    from lm_eval.filters import build_filter_ensemble

    file = Path(lm_eval.tasks.__file__).parent / f"gsm8k/{task.replace('_', '-')}.yaml"
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    steps = next(entry["filter"] for entry in config["filter_list"] if entry["name"] == filter_name)
    parts = [[step["function"], {k: v for k, v in step.items() if k != "function"} or None] for step in steps]
    (metric,) = (dict(entry) for entry in config["metric_list"])
    assert metric.pop("metric") == "exact_match"
    options = {name: value for name, value in metric.items() if name not in ("aggregation", "higher_is_better")}

    def score(pairs: list[Pair]) -> list[bool]:
        asked = [
            Instance("generate_until", {"answer": gold}, ("", {}), i, resps=[text])
            for i, (gold, text) in enumerate(pairs)
        ]
        build_filter_ensemble(filter_name, parts).apply(asked)
        return [
            exact_match_hf_evaluate([one.filtered_resps[filter_name]], [gold], **options)["exact_match"] == 1.0
            for one, (gold, _) in zip(asked, pairs, strict=True)
        ]

    return score


def by_math_verify(pairs: list[Pair]) -> list[bool]:
    """As `evaluate_model_outputs.py` of the library's repository, with gold in a box. What raises there is wrong."""
    from math_verify.metric import math_metric
    from math_verify.parser import ExprExtractionConfig, LatexExtractionConfig

    metric = math_metric((LatexExtractionConfig(),), (ExprExtractionConfig(), LatexExtractionConfig()), max, 6)
    found = []
    for gold, text in pairs:
        try:
            found.append(metric([f"\\boxed{{{gold}}}"], [text])[0] == 1.0)
        except ValueError:
            found.append(False)
    return found


def bits(flags: list[bool]) -> str:
    """Flags in hex, the first one being the highest bit."""
    return f"{int('1' + ''.join(str(int(flag)) for flag in flags), 2):x}"


def solution_pairs(file: Path, solver: str, mark: str) -> list[Pair]:
    """Gold and completion of every row of the model solutions."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    texts = [row[solver]["solution"].replace("\nA: ", f"\n{mark}") for row in rows]
    golds = [row["ground_truth"].replace("\nA: ", "\n#### ") for row in rows]
    return list(zip(golds, texts, strict=True))


def main() -> None:
    """Write the verdicts of one tool."""
    tool, file = sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else None
    scores: dict[str, Score] = {"math_verify": by_math_verify}
    if tool == "lm_eval":
        scores = {
            "strict": by_lm_eval("gsm8k", "strict-match"),
            "cot_strict": by_lm_eval("gsm8k_cot", "strict-match"),
            "flex": by_lm_eval("gsm8k", "flexible-extract"),
            "cot_flex": by_lm_eval("gsm8k_cot", "flexible-extract"),
        }
    table = HERE / "other_tools.jsonl"
    rows = [json.loads(line) for line in table.read_text(encoding="utf-8").splitlines()]
    solutions = HERE / "other_tools.json"
    known = json.loads(solutions.read_text(encoding="utf-8"))
    known["versions"][tool] = version(tool)
    for name, score in scores.items():
        for row, flag in zip(rows, score([(row["gold"], row["text"]) for row in rows]), strict=True):
            row[name] = int(flag)
        for form, mark in FORMS.items() if file and tool == "lm_eval" else ():
            for solver in SOLVERS:
                found = score(solution_pairs(file, solver, mark))
                known.setdefault(form, {}).setdefault(solver, {})[name] = bits(found)
    table.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    solutions.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
