"""Recipes that are too large or too deep are refused with what is too much; the work for all others grows linearly."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reasoning_train.recipe import limits
from reasoning_train.recipe.errors import RecipeError
from reasoning_train.recipe.includes import load_document
from reasoning_train.recipe.load import load_plan
from reasoning_train.recipe.yaml_core import parse_value
from tests.reasoning_train.recipe.kitchen import write

HEAD = """
name: t
task: {uses: chain, steps: [1, 2], operand: [1, 6], train: 20, explore: 20, dev: 10, test: 10}
"""
SOLVED = 'uses: gold, problems: "${task.train}"'
KEPT = 'uses: select, solutions: "${stages.a}", keep: any'


def chain(text: str, n: int) -> str:
    """`task.f0` refers to `task.f1`, and so on to `task.fN`."""
    fields = "".join(f"f{i}: {text.format(f'${{task.f{i + 1}}}')}, " for i in range(n))
    return f"name: t\ndescription: '${{task.f0}}'\ntask: {{{fields}f{n}: x}}\nstages: {{a: {{{SOLVED}}}}}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: t\nx: " + "[" * 900 + "]" * 900, "recipe.yaml:2: nested more than 64 levels deep; write it flatter."),
        ("name: t\nx: " + "[" * 10**6, "recipe.yaml:2: nested more than 64 levels deep"),
        ("x: " + "{a: " * 900 + "1" + "}" * 900, "recipe.yaml:1: nested more than 64 levels deep"),
        ("a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 900)), "more than 64 levels deep"),
        ("name: t\nseed: " + "9" * 4301, "recipe.yaml:2: a number of 4,301 characters; expected at most 300."),
        ("name: t\nseed: 0x" + "f" * 5000, "recipe.yaml:2: a number of 5,002 characters; expected at most 300."),
        (
            "a0: &a0 [x, x, x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60)),
            "more than 5,000 values, with includes, aliases (`*name`) and merges (`<<`) written out",
        ),
        (
            "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 60)),
            "more than 5,000 values",
        ),
        ("include: [" + "recipe2.yaml, " * 300 + "]", "recipe.yaml:1: more than 256 includes; put files together."),
        (HEAD + f"seeds: {list(range(1_001))}", "seeds: expected at most 1,000 values, got 1,001."),
        (
            HEAD + f"stages: {{a: {{{SOLVED}, grid: {{b: {list(range(99))}, c: {list(range(999))}}}}}}}",
            "recipe.yaml:3: stages.a.grid: makes 98,901 settings; expected at most 10,000.",
        ),
        (
            HEAD + f"seeds: {list(range(1000))}\nstages:\n" + "".join(f"  a{i}: {{{SOLVED}}}\n" for i in range(25)),
            "recipe.yaml:25: more than 20,000 stages with all rounds, settings of grids and seeds; split the recipe.",
        ),
        (
            HEAD + f"stages: {{}}\nrounds: {{r: {{max: 1000000000, policy: a, stages: {{a: {{{SOLVED}}}}}}}}}",
            "rounds.r.max: expected less than or equal to 250, got 1000000000.",
        ),
        (chain("'{0}'", 60), "task.f0: more than 24 references lead to each other: task.f1 -> task.f2"),
        (chain("'{0}{0}'", 22).replace("22: x", f"22: {'x' * 99}"), "the text grows beyond 10,000 characters once"),
        (chain("['{0}', '{0}']", 22), "references to this value and others bring more than 5,000 values"),
    ],
)
def test_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    monkeypatch.setattr(limits, "VALUES", 5_000)
    monkeypatch.setattr(limits, "TEXT", 10_000)
    write(tmp_path, "task: {}\n", "recipe2.yaml")
    with pytest.raises(RecipeError) as caught:
        load_plan(write(tmp_path, text))
    assert message in str(caught.value)


def test_a_file_of_many_megabytes(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="larger than 8 MiB, which no recipe is"):
        load_plan(write(tmp_path, "#" * (limits.FILE_BYTES + 1)))


def test_values_of_the_command_line_have_the_limits_of_files() -> None:
    with pytest.raises(RecipeError, match="--set: nested more than 64 levels deep"):
        parse_value("[" * 10**5, "--set")
    assert parse_value("[" * 64 + "]" * 64, "") is not None


def test_a_file_that_many_include_is_read_once(tmp_path: Path) -> None:
    for i in range(40):
        write(tmp_path, f"include: [d{i + 1}.yaml, d{i + 1}.yaml]\nx{i}: 1\n", f"d{i}.yaml")
    write(tmp_path, "task: {a: 1}\n", "d40.yaml")
    document = load_document(write(tmp_path, "name: t\ninclude: [d0.yaml]\n"))
    assert document.value == {"name": "t", "task": {"a": 1}, **{f"x{i}": 1 for i in range(40)}}
    assert document.origins["task.a"].endswith("d40.yaml:1")


def included(n: int) -> str:
    return "include: [part.yaml]" + HEAD + f"stages:\n  a: {{{SOLVED}}}\n" + lines(n, "max_per_problem: 2")


def lines(n: int, text: str) -> str:
    return "".join(f"  s{i}: {{{text.format(i=i, before=i - 1)}}}\n" for i in range(1, n))


def staged(n: int, text: str, first: str = "") -> str:
    return HEAD + f"stages:\n  a: {{{SOLVED}}}\n  s0: {first}{{{KEPT}}}\n" + lines(n, text)


def tasked(n: int, text: str) -> str:
    """`n` tasks, and a stage on each."""
    tasks = "".join(f"  t{i}: {{uses: chain, seed: {i}, train: 20, dev: 1, test: 1}}\n" for i in range(n))
    return f"{HEAD}tasks:\n{tasks}stages:\n  a: {{{SOLVED}}}\n" + lines(n, text)


@pytest.mark.parametrize(
    "made",
    [
        included,
        lambda n: staged(n, "<<: *s, max_per_problem: {i}", "&s "),
        lambda n: staged(n, "like: s{before}, max_per_problem: {i}"),
        lambda n: staged(n, 'uses: select, solutions: "${{stages.s{before}}}", keep: any'),
        lambda n: staged(n, 'uses: concat, sources: ["${{stages.s{before}}}", "${{stages.a}}"]'),
        lambda n: staged(1, "") + f"  g: {{{KEPT}, grid: {{max_per_problem: {list(range(1, n))}}}}}\n",
        lambda n: staged(1, "") + f"seeds: {list(range(n))}\n",
        lambda n: tasked(n, 'uses: gold, problems: "${{tasks.t{i}.train}}"'),
    ],
    ids=["overrides", "merges", "likes", "a chain", "a chain of one kind", "a grid", "seeds", "tasks"],
)
def test_twice_the_stages_are_twice_the_work(tmp_path: Path, made: Callable[[int], str]) -> None:
    work = [_calls(tmp_path, made(n), n) for n in (10, 40, 70)]
    assert work[2] - work[1] < 1.3 * (work[1] - work[0])


def test_a_chain_is_longer_than_python_can_nest_calls(tmp_path: Path) -> None:
    n = sys.getrecursionlimit() + 200
    text = staged(n, 'uses: concat, sources: ["${{stages.s{before}}}", "${{stages.a}}"]')
    leak = f'uses: sft, policy: "${{model}}", data: "${{stages.s{n - 1}}}", learning_rate: 1e-3, max_steps: 1'
    model = "model: {init: {}, tokenizer: task}\n"
    with pytest.raises(RecipeError) as caught:
        load_plan(write(tmp_path, model + text.replace("task.train", "task.test") + f"  last: {{{leak}}}\n"))
    [said] = str(caught.value).splitlines()
    assert "'last' trains on problems of the split 'test': task.test -> a -> s0 -> s1 -> " in said
    assert said.count(" -> ") == n + 2


def _calls(folder: Path, text: str, n: int) -> int:
    """The number of calls, of Python and of C functions, to load a recipe."""
    write(folder, "stages:\n" + lines(n, KEPT.replace("${", "${{").replace("}", "}}", 1)), "part.yaml")
    path, calls = write(folder, text), 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    load_plan(path)  # what the first use imports and compiles does not count
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        load_plan(path)
    finally:
        sys.setprofile(before)
    return calls
