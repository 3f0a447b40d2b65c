"""`grade`: verdicts on generations that any tool made, by the grader of a task."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launch.arguments import Subparsers, command, print_table

if TYPE_CHECKING:
    from data_gen.tasks import Task
    from reasoning_train.evaluation.recorded import RecordedColumns, Tally

MORE = """\
FILE is a .jsonl, .jsonl.gz or .parquet file with one generation a row. Its columns are named by dotted paths. A gold
column that holds a whole solution is read as the task reads it (`#### 18`). The exit code is 0 whatever the accuracy.

  reasoning-train grade out.jsonl --task gsm8k --prediction solution --gold answer
  reasoning-train grade samples.jsonl --task gsm8k --prediction resps.0.0 --gold target       what lm-eval logs
  reasoning-train grade out.jsonl --task gsm8k --prediction text --gold answer --finish finish_reason
  reasoning-train grade out.parquet --task my/task.yaml --prediction text --gold gold --json > verdicts.jsonl
  reasoning-train grade out.jsonl --task gsm8k --prediction text --gold answer --grader lm_eval_strict
  reasoning-train grade out.jsonl --task math500 --prediction text --gold answer --extract boxed --extract last_number
"""


def add(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = command(subparsers, "grade", run, "grade generations that were made anywhere", MORE)
    parser.add_argument("file", metavar="FILE", type=Path, help="the generations: .jsonl, .jsonl.gz or .parquet")
    text = "a name in configs/tasks, or a YAML file with `task:`; its problems are not read"
    parser.add_argument("--task", metavar="TASK", required=True, help=text)
    parser.add_argument("--prediction", metavar="COLUMN", required=True, help="what the model said, as a whole")
    parser.add_argument("--gold", metavar="COLUMN", help="the gold answer (default: the task's fields.answer)")
    text = "how a generation ended: `length` or true where a limit cut it, and it has no answer"
    parser.add_argument("--finish", metavar="COLUMN", help=text)
    parser.add_argument("--grader", metavar="GRADER", help="another grader than the task's; `list graders`")
    text = "another way to find the answer; repeat for more, which are tried in order; `list extractors`"
    parser.add_argument("--extract", metavar="EXTRACTOR", action="append", default=[], help=text)
    text = "override one field of the task, e.g. --set task.answer_after='####'; repeat as needed"
    parser.add_argument("--set", metavar="A.B=C", action="append", default=[], dest="overrides", help=text)
    parser.add_argument("--json", action="store_true", help="print one JSON object a row; figures go to stderr")


def run(arguments: argparse.Namespace) -> int:
    """Print the figures, or one object a row."""
    from data_gen.errors import UserError
    from data_gen.sources.rows import file_source
    from reasoning_train.evaluation.recorded import Tally, grade_rows
    from reasoning_train.process.plugins import import_plugins

    import_plugins()
    if not arguments.file.is_file():
        raise UserError(f"FILE: there is no file {str(arguments.file)!r}. Name a .jsonl, .jsonl.gz or .parquet file.")
    task = _task(arguments)
    tally = Tally()
    for row in grade_rows(file_source(arguments.file), task, _columns(arguments, task)):
        tally.add(row)
        if arguments.json:
            print(json.dumps(row.to_json(), ensure_ascii=False))
    if not tally.rows:
        raise UserError(f"FILE: {arguments.file} has no rows.")
    _show(tally, task, arguments)
    return 0


def _columns(arguments: argparse.Namespace, task: Task) -> RecordedColumns:
    from data_gen.errors import UserError
    from reasoning_train.evaluation.recorded import RecordedColumns

    gold = arguments.gold or getattr(getattr(task, "fields", None), "answer", None)
    if gold is None:
        raise UserError("--gold: the task names no column of gold. Name the one of FILE.")
    return RecordedColumns(arguments.prediction, gold, arguments.finish)


def _task(arguments: argparse.Namespace) -> Task:
    """The task, with what the command line changes of it."""
    from reasoning_train.recipe.errors import Problems
    from reasoning_train.recipe.includes import load_document
    from reasoning_train.recipe.tasks import declared_task

    file = _task_file(arguments.task)
    changes = _changes(arguments)
    document = load_document(file, [*arguments.overrides, *(f"{field}={value}" for _, field, value in changes)])
    for option, field, _ in changes:
        told = {path: option for path in document.origins if path == field or path.startswith(f"{field}.")}
        document.origins.update(told)
    problems = Problems(document.origins, str(file))
    written = document.value.get("task")
    if not isinstance(written, dict):
        problems.add("task", "expected a task, such as `task: {uses: jsonl, grader: math}`.")
    task = declared_task(written, "task", problems) if isinstance(written, dict) else None
    problems.raise_if_any()
    assert task is not None, "a task that is not valid has problems"
    return task


def _task_file(name: str) -> Path:
    """A YAML file by its path, or by its name in the `configs/tasks` of this folder or of the program."""
    from data_gen.errors import UserError, nearest
    from reasoning_train.api.checkout import CHECKOUT

    folders = [Path("configs/tasks"), CHECKOUT / "configs/tasks"]
    for file in (Path(name), *(folder / f"{name}.yaml" for folder in folders)):
        if file.is_file():
            return file
    known = {file.stem for folder in folders for file in folder.glob("*.yaml")}
    raise UserError(f"--task: there is no file {name!r} and no task of that name.{nearest(name, known)}")


def _changes(arguments: argparse.Namespace) -> list[tuple[str, str, str]]:
    """(option, field, value) of `--grader` and `--extract`. A grader that finds answers in its own way brings it."""
    from reasoning_train.recipe.yaml_core import parse_value

    changes, extract = [], [parse_value(text, "--extract") for text in arguments.extract]
    if arguments.grader:
        changes.append(("--grader", "task.grader", arguments.grader))
        extract = extract or _own_way(parse_value(arguments.grader, "--grader"))
    if extract:
        changes.append(("--extract", "task.format.extract", json.dumps(extract)))
    return changes


def _own_way(config: Any) -> list[Any]:
    """The extractors that a grader brings itself. None for one that is not valid, which is told with the task."""
    from pydantic import TypeAdapter, ValidationError

    from data_gen.graders import GRADERS

    try:
        grader = TypeAdapter(GRADERS.union()).validate_python(config)
    except ValidationError:
        return []
    return [way.model_dump(mode="json") for way in grader.finds_with or ()]


def _show(tally: Tally, task: Task, arguments: argparse.Namespace) -> None:
    """The figures: means with intervals, then counts."""
    from data_gen.records.verdict import Verdict

    extract = ", ".join(way.uses for way in task.format.extract)
    rows: list[list[str]] = [[name, mean.percent(), str(n)] for name, (mean, n) in tally.estimates().items()]
    title = f"{arguments.file}: {tally.rows} rows; grader {task.grader.uses}, answers by {extract}"
    counts: dict[str, Any] = {str(verdict): tally.verdicts[verdict] for verdict in Verdict}
    counts |= {"no answer": tally.no_answer, "cut": tally.cut if arguments.finish else "not known (--finish)"}
    out = sys.stderr if arguments.json else sys.stdout
    print(title, file=out)
    if rows:
        print_table(["metric", "% [95 % interval]", "rows"], rows, file=out)
    print(", ".join(f"{name} {count}" for name, count in counts.items()), file=out)
    if tally.unverifiable:
        mark = getattr(task, "answer_after", None)
        hint = f"; task.answer_after: gold is the text behind {mark!r}" if mark else ""
        print(f"the first row whose gold cannot be verified: {tally.unverifiable}{hint}", file=out)
