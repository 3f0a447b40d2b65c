"""What other tools say of generations. Runs with the Python of an environment that has the tools, and needs nothing of
this project but its tests:

    python -m tests.compare.sides lm_eval ROWS.jsonl OUT.json

A row of ROWS has `question`, `gold` and `text`. OUT gets the tool's version and its verdicts, column by column.
"""

from __future__ import annotations

import json
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.data_gen.graders.record_other_tools import by_math_verify

Rows = list[dict[str, Any]]
FILTERS = {"strict": "strict-match", "flex": "flexible-extract"}


def lm_eval(rows: Rows) -> dict[str, list[int]]:
    """The verdicts of lm-evaluation-harness: `simple_evaluate` on its own task `gsm8k`, with these problems in place of
    its data set and a model that says the recorded texts."""
    import lm_eval.tasks
    import yaml
    from lm_eval import simple_evaluate
    from lm_eval.api.model import LM

    class Recorded(LM):
        def loglikelihood(self, requests: Any) -> Any:
            raise NotImplementedError

        def loglikelihood_rolling(self, requests: Any) -> Any:
            raise NotImplementedError

        def generate_until(self, requests: Any) -> list[str]:
            return [request.doc["text"] for request in requests]

    file = Path(lm_eval.tasks.__file__).parent / "gsm8k/gsm8k.yaml"
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "rows.jsonl"
        asked = ({"question": row["question"], "answer": f"#### {row['gold']}", "text": row["text"]} for row in rows)
        data.write_text("".join(json.dumps(row) + "\n" for row in asked), encoding="utf-8")
        config |= {"dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": {"test": str(data)}}}
        config |= {"training_split": None, "fewshot_split": None, "num_fewshot": 0}
        found = simple_evaluate(model=Recorded(), tasks=[config], num_fewshot=0, log_samples=True, bootstrap_iters=0)
    verdicts = {name: [0] * len(rows) for name in FILTERS}
    for sample in found["samples"]["gsm8k"]:
        name = next(name for name, filter_name in FILTERS.items() if filter_name == sample["filter"])
        verdicts[name][sample["doc_id"]] = int(sample["exact_match"] == 1.0)
    return verdicts


def math_verify(rows: Rows) -> dict[str, list[int]]:
    """The verdicts of math-verify, as the script of its repository asks for them."""
    return {"math_verify": [int(right) for right in by_math_verify([(row["gold"], row["text"]) for row in rows])]}


def main() -> None:
    """Write the verdicts of one tool."""
    tool, rows, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    asked = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]
    verdicts = {"lm_eval": lm_eval, "math_verify": math_verify}[tool](asked)
    out.write_text(json.dumps({"version": version(tool), "verdicts": verdicts}), encoding="utf-8")


if __name__ == "__main__":
    main()
